package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"sync"
)

// Writer writes to one side, a frame at a time.
type Writer struct {
	mu    sync.Mutex
	to    io.Writer
	mask  bool // as what goes to servers must be
	ended bool
	b     []byte
}

// NewWriter writes to a server, which wants frames masked, or to a program.
func NewWriter(to io.Writer, mask bool) *Writer { return &Writer{to: to, mask: mask} }

// Frame writes one frame. After a close frame nothing is written any more.
func (w *Writer) Frame(op Opcode, final bool, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return io.ErrClosedPipe
	}
	w.ended = op == Close
	b := append(w.b[:0], byte(op))
	if final {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n <= mostControl:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	if w.mask {
		b[1] |= 0x80
		var key [4]byte
		_, _ = rand.Read(key[:]) // never fails
		b = append(append(b, key[:]...), payload...)
		mask(b[len(b)-len(payload):], key, 0)
	} else {
		b = append(b, payload...)
	}
	w.b = b
	_, err := w.to.Write(b)
	return err
}

// Close writes a close frame with the reason.
func (w *Writer) Close(code uint16, reason string) error {
	payload := binary.BigEndian.AppendUint16(nil, code)
	return w.Frame(Close, true, append(payload, reason[:min(len(reason), mostControl-2)]...))
}
