// Package websocket reads what each side of a WebSocket says (RFC 6455), a piece
// of a message at a time, and writes it anew. It takes nothing that the standard
// forbids, and no extension: what it passes on has one reading.
package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Opcode is what a frame is.
type Opcode byte

// The kinds of frames. All others are refused.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

func (o Opcode) control() bool { return o >= Close }

// Why a connection ends (RFC 6455, 7.4.1).
const (
	Malformed = 1002
	Policy    = 1008
)

// mostControl is the most that a control frame may hold.
const mostControl = 125

// header is what stands before a frame's payload.
type header struct {
	final  bool
	op     Opcode
	masked bool
	key    [4]byte
	length int64
}

// Violation is what a side says that the standard forbids.
type Violation string

func (v Violation) Error() string { return string(v) }

const (
	errReserved Violation = "a reserved bit is set, and no extension was agreed on"
	errOpcode   Violation = "a frame is of a kind that there is not"
	errControl  Violation = "a control frame is longer than 125 bytes, or in pieces"
	errLength   Violation = "a length is not written in its shortest form"
	errMask     Violation = "a frame is masked that must not be, or the other way round"
	errOrder    Violation = "a message begins within another, or goes on without having begun"
	errClose    Violation = "a close frame holds no valid reason"
)

// check refuses what no side may send, whatever came before.
func (h header) check(masked bool) error {
	switch {
	case h.op > Binary && h.op < Close || h.op > Pong:
		return errOpcode
	case h.op.control() && (!h.final || h.length > mostControl):
		return errControl
	case h.masked != masked:
		return errMask
	}
	return nil
}

// closing checks what a close frame says.
func closing(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) < 2 || !utf8.Valid(payload[2:]) {
		return errClose
	}
	code := binary.BigEndian.Uint16(payload)
	known := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006
	if !known && (code < 3000 || code > 4999) {
		return errClose
	}
	return nil
}

// mask masks, and unmasks, the bytes of a payload from some place in it on.
func mask(b []byte, key [4]byte, at int64) {
	var turned [8]byte
	for i := range turned {
		turned[i] = key[(at+int64(i))&3]
	}
	word := binary.NativeEndian.Uint64(turned[:])
	for ; len(b) >= 8; b = b[8:] {
		binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)^word)
	}
	for i := range b {
		b[i] ^= turned[i]
	}
}
