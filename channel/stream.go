package channel

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"nacre/strictjson"
)

// Reader reads what one side says.
type Reader struct {
	lines *strictjson.Lines
	from  Side
}

// NewReader reads what the side says.
func NewReader(in io.Reader, from Side) *Reader {
	return &Reader{strictjson.NewLines(in, MaxLine), from}
}

// ErrProtocol says that the other side does not keep to the protocol: there is nothing
// more to be said to it.
var ErrProtocol = errors.New("it does not keep to the channel protocol")

// Next is the next message; io.EOF at the end.
func (r *Reader) Next() (Message, error) {
	line, err := r.lines.Next()
	if errors.Is(err, io.EOF) {
		return Message{}, err
	}
	m := Message{}
	if err == nil {
		m, err = decode(line, r.from)
	}
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return m, nil
}

// Writer writes what one side says. Several may use it at once.
type Writer struct {
	mu   sync.Mutex
	out  io.Writer
	from Side
}

// NewWriter writes what the side says.
func NewWriter(out io.Writer, from Side) *Writer { return &Writer{out: out, from: from} }

// Write writes one message, or says why it is none.
func (w *Writer) Write(m Message) error {
	line, err := strictjson.Write(m)
	if err != nil {
		return err
	}
	if len(line) >= MaxLine {
		return fmt.Errorf("the message has %d bytes, over %d", len(line), MaxLine)
	}
	if _, err := decode(line, w.from); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.out.Write(append(line, '\n'))
	return err
}
