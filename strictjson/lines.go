package strictjson

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrLong says that a line is over its bounds.
var ErrLong = errors.New("a line is longer than is taken")

// Lines reads messages that are a line each, as programs write them that speak on a
// stream.
type Lines struct {
	from *bufio.Reader
	one  int  // bytes of one line
	over bool // the rest of a line is yet to be left out
}

// NewLines reads lines of at most so many bytes.
func NewLines(from io.Reader, one int) *Lines {
	return &Lines{from: bufio.NewReaderSize(from, 32<<10), one: one}
}

// Next is the next line that is not blank. ErrLong: it was too long, and the next
// call goes on behind it. What the last line holds, without an end, is dropped.
func (l *Lines) Next() ([]byte, error) {
	var line []byte
	for {
		piece, err := l.from.ReadSlice('\n')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case l.over:
			l.over = err != nil
			continue
		case len(line)+len(piece) > l.one:
			l.over = err != nil
			return nil, ErrLong
		}
		line = append(line, piece...)
		if err != nil {
			continue
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}
