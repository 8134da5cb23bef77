package mcp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Events reads a stream of events (text/event-stream), of which only the data of
// messages counts.
type Events struct {
	from *bufio.Reader
	left int64 // bytes that may still come
	one  int   // bytes of one event
}

// NewEvents reads a stream of at most so many bytes, and so many in one event.
func NewEvents(from io.Reader, most int64, one int) *Events {
	return &Events{bufio.NewReaderSize(from, 32<<10), most, one}
}

// ErrFlood says that a stream is over its bounds.
var ErrFlood = errors.New("the server says more than is taken")

// Next returns the data of the next event; io.EOF at the end. What the last,
// unfinished one holds is dropped.
func (e *Events) Next() ([]byte, error) {
	var data []byte
	some, other := false, false
	for {
		line, err := e.line()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if some && !other {
				return data, nil
			}
			data, some, other = nil, false, false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if some {
				data = append(data, '\n')
			}
			data, some = append(data, value...), true
		case "event":
			other = len(value) > 0 && string(value) != "message"
		}
		if len(data) > e.one {
			return nil, ErrFlood
		}
	}
}

// line is the next line without its end: LF, or CR LF. A CR alone ends none here,
// and is then part of JSON, which it may be between two values.
func (e *Events) line() ([]byte, error) {
	var line []byte
	for {
		piece, err := e.from.ReadSlice('\n')
		if e.left -= int64(len(piece)); e.left < 0 || len(line)+len(piece) > e.one+64 {
			return nil, ErrFlood
		}
		line = append(line, piece...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
	}
}
