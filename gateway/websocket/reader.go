package websocket

import (
	"bufio"
	"encoding/binary"
	"io"
)

// Reader reads what one side says. Between messages Next is called, within one
// Read; what control frames say in between goes to the function that was given.
type Reader struct {
	from    *bufio.Reader
	masked  bool // as what programs send must be, and what servers send must not
	control func(Opcode, []byte) error
	within  bool // a message has begun and has not ended
	frame   header
	left    int64 // of the frame's payload
	ended   bool  // by a close frame
	err     error
}

// NewReader reads from a side that masks what it sends, or from one that does not.
func NewReader(from io.Reader, masked bool, control func(Opcode, []byte) error) *Reader {
	return &Reader{from: bufio.NewReaderSize(from, 4<<10), masked: masked, control: control}
}

// Next waits for the next message. It returns io.EOF after a close frame.
func (r *Reader) Next() (Opcode, error) {
	if r.err == nil && r.within {
		r.err = errOrder
	}
	r.advance()
	r.within = r.err == nil
	return r.frame.op, r.err
}

// Read reads on in the message; it returns io.EOF at its end, with the last of it.
func (r *Reader) Read(p []byte) (int, error) {
	for r.err == nil && r.within && r.left == 0 {
		if r.frame.final {
			r.within = false
			break
		}
		r.advance()
	}
	switch {
	case r.err == io.EOF:
		r.err = io.ErrUnexpectedEOF // closed within a message
		return 0, r.err
	case r.err != nil:
		return 0, r.err
	case !r.within:
		return 0, io.EOF
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	if r.masked {
		mask(p[:n], r.frame.key, r.frame.length-r.left)
	}
	if r.left -= int64(n); err != nil {
		r.err = unexpected(err)
		return n, r.err
	}
	if r.left == 0 && r.frame.final {
		r.within = false
		return n, io.EOF
	}
	return n, nil
}

// Closed tells whether this side has said that it says no more.
func (r *Reader) Closed() bool { return r.ended }

// advance reads up to the next frame that holds something of a message.
func (r *Reader) advance() {
	for r.err == nil {
		r.head()
		if r.err != nil || !r.frame.op.control() {
			break
		}
		r.err = r.answer()
	}
	if r.err == nil && (r.frame.op == Continuation) != r.within {
		r.err = errOrder
	}
}

// head reads a frame's header.
func (r *Reader) head() {
	var b [8]byte
	if _, err := io.ReadFull(r.from, b[:2]); err != nil {
		r.err = unexpected(err)
		return
	}
	h := header{final: b[0]&0x80 != 0, op: Opcode(b[0] & 0xf), masked: b[1]&0x80 != 0, length: int64(b[1] & 0x7f)}
	if b[0]&0x70 != 0 {
		r.err = errReserved
		return
	}
	long, least := 0, uint64(0)
	switch h.length {
	case 126:
		long, least = 2, 126
	case 127:
		long, least = 8, 1<<16
	}
	if long > 0 {
		if h.op.control() {
			r.err = errControl
			return
		}
		if _, err := io.ReadFull(r.from, b[8-long:]); err != nil {
			r.err = unexpected(err)
			return
		}
		clear(b[:8-long])
		n := binary.BigEndian.Uint64(b[:])
		if n < least || n > 1<<63-1 {
			r.err = errLength
			return
		}
		h.length = int64(n)
	}
	if r.err = h.check(r.masked); r.err == nil && h.masked {
		_, err := io.ReadFull(r.from, h.key[:])
		r.err = unexpected(err)
	}
	r.frame, r.left = h, h.length
}

// answer reads a control frame and hands it over.
func (r *Reader) answer() error {
	var b [mostControl]byte
	payload := b[:r.frame.length]
	if _, err := io.ReadFull(r.from, payload); err != nil {
		return unexpected(err)
	}
	mask(payload, r.frame.key, 0)
	r.left = 0
	if r.frame.op == Close {
		if err := closing(payload); err != nil {
			return err
		}
		r.ended = true
	}
	err := r.control(r.frame.op, payload)
	if err == nil && r.ended {
		err = io.EOF
	}
	return err
}

// unexpected is an end without a close frame.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
