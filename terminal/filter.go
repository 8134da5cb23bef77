// Package terminal stands between the owner's terminal and a program in a
// sandbox. A terminal obeys whatever is written to it, and some of what it can
// be told is an attack: to answer as if the owner had typed, to read or fill
// the clipboard, to lock the keyboard. Filter passes on what programs need and
// drops all else; Attach joins the two terminals; Cap bounds how much a
// program may write; Clean makes a hostile name fit for a message of ours.
package terminal

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The bounds on what the filter keeps of a sequence, in bytes, and on how long
// a string may run, in characters, before it counts as unterminated.
const (
	maxSequence = 256
	maxOSC      = 4 << 10
	maxString   = 64 << 10
)

const (
	bel = 0x07
	can = 0x18
	sub = 0x1a
	esc = 0x1b
	del = 0x7f
)

type state uint8

const (
	ground    state = iota
	escape          // after ESC
	control         // after ESC [
	str             // inside OSC, DCS, SOS, PM, APC or a screen title
	strEscape       // after ESC inside one of these
)

// Filter passes a program's output on to a terminal that understands UTF-8,
// without what could attack it. It is an allow-list: a sequence is held back
// until it is complete, and passes only if it is known to be harmless. Benign
// 7-bit output passes byte for byte; 8-bit (C1) controls, raw or as UTF-8, are
// judged, and passed, in their 7-bit form; bytes that are not UTF-8 become
// U+FFFD. A Filter serves one stream and one goroutine.
type Filter struct {
	// Answer, if set, gets the fixed reply to a query that programs wait on
	// (primary device attributes, device status). It must not block.
	Answer func([]byte)

	w       io.Writer
	out     []byte
	partial []byte // the beginning of a character, split by the last Write
	state   state
	seq     []byte            // the pending sequence, or an OSC's text
	kind    rune              // of the pending string: the byte after ESC
	length  int               // of the pending string
	undo    map[string]string // what Reset has to write, by what is to be undone
}

// NewFilter returns a filter in front of w.
func NewFilter(w io.Writer) *Filter { return &Filter{w: w, undo: map[string]string{}} }

// Write passes on what is harmless in p. It writes to the terminal at most
// once, and never a part of a sequence or of a character.
func (f *Filter) Write(p []byte) (int, error) {
	f.out = f.out[:0]
	data := p
	if len(f.partial) > 0 {
		data = append(f.partial, p...)
		f.partial = nil
	}
	for len(data) > 0 {
		if n := f.plain(data); n > 0 {
			f.out = append(f.out, data[:n]...)
			data = data[n:]
			continue
		}
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			if !utf8.FullRune(data) {
				f.partial = slices.Clone(data)
				break
			}
			if data[0] < 0xa0 { // a raw C1 control; anything else becomes U+FFFD
				r = rune(data[0])
			}
		}
		f.step(r)
		data = data[size:]
	}
	if len(f.out) == 0 {
		return len(p), nil
	}
	if _, err := f.w.Write(f.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Reset brings the terminal back from what the program left it in, such as
// mouse reports or the alternate screen, and forgets what is pending.
func (f *Filter) Reset() error {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(f.undo)) {
		b.WriteString(f.undo[key])
	}
	clear(f.undo)
	f.state, f.partial = ground, nil
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(f.w, b.String())
	return err
}

// Guarded is a file as a program's output may be written to it: through a filter where
// it is a terminal, whoever else reads it as it is. Call done at its end.
func Guarded(to *os.File) (w io.Writer, done func()) {
	is := false
	if conn, err := to.SyscallConn(); err == nil { // File.Fd would have it block
		_ = conn.Control(func(fd uintptr) { is = term.IsTerminal(int(fd)) })
	}
	if !is {
		return to, func() {}
	}
	f := NewFilter(hung{to})
	return f, func() { _ = f.Reset() }
}

// hung is a terminal that may have gone: to write there is then to write to nobody.
type hung struct{ io.Writer }

func (h hung) Write(p []byte) (int, error) {
	n, err := h.Writer.Write(p)
	if errors.Is(err, unix.EIO) {
		err = unix.EPIPE
	}
	return n, err
}

// plain counts the printable ASCII that data begins with, outside sequences.
func (f *Filter) plain(data []byte) int {
	n := 0
	for f.state == ground && n < len(data) && data[n] >= ' ' && data[n] < del {
		n++
	}
	return n
}

func (f *Filter) step(r rune) {
	switch {
	case r == can || r == sub:
		f.state = ground
	case r >= 0x80 && r < 0xa0: // C1: the same as ESC and a letter
		f.step(esc)
		f.step(r - 0x40)
	case r == esc && f.state == str:
		f.state = strEscape
	case r == esc:
		f.state, f.seq = escape, append(f.seq[:0], esc)
	case f.state == str:
		f.collect(r)
	case f.state == strEscape && r == '\\':
		f.endString("\x1b\\")
	case f.state == strEscape: // terminals differ; here ESC ends the string, unpassed
		f.step(esc)
		f.step(r)
	case f.state == ground || r < ' ': // terminals obey C0 amid a sequence at once
		f.text(r)
	case r == del:
	case r > del:
		f.state = ground
		f.text(r)
	default:
		f.extend(r)
	}
}

// text passes a character, and of the controls those that only move the
// cursor, ring the bell or shift between G0 and G1.
func (f *Filter) text(r rune) {
	switch {
	case r == 0x0e:
		f.undo["\x0e"] = "\x0f"
	case r == 0x0f:
		delete(f.undo, "\x0e")
	case r < bel, r > '\r' && r < ' ', r == del:
		return
	}
	f.out = utf8.AppendRune(f.out, r)
}

// extend adds a byte to an escape or control sequence, and judges it when it
// is complete.
func (f *Filter) extend(r rune) {
	first := len(f.seq) == 1
	if len(f.seq) <= maxSequence {
		f.seq = append(f.seq, byte(r))
	}
	switch {
	case first && r == '[':
		f.state = control
	case first && strings.ContainsRune("]PX^_k", r):
		f.state, f.kind, f.length, f.seq = str, r, 0, f.seq[:0]
	case f.state == escape && r >= '0', f.state == control && r >= '@':
		complete, isEscape := string(f.seq), f.state == escape
		f.state = ground
		if len(complete) > maxSequence {
			return
		}
		if isEscape {
			f.endEscape(complete)
		} else {
			f.endControl(complete)
		}
	}
}

// collect takes a character of a string. Only an OSC's text is kept.
func (f *Filter) collect(r rune) {
	f.length++
	switch {
	case f.length > maxString:
		f.state = ground
	case f.kind != ']':
	case r == bel:
		f.endString("\a")
	case len(f.seq) <= maxOSC:
		f.seq = utf8.AppendRune(f.seq, r)
		if f.seq[0] == 'R' || f.seq[0] == 'P' && f.length == 8 {
			f.state = ground // the Linux console's palette: it has no terminator
		}
	}
}
