package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// scrubber reads a reply and masks what must not be in it. It holds back as much
// as the longest of these, less one byte, so that none slips through in two
// pieces.
type scrubber struct {
	from    io.ReadCloser
	needles [][]byte
	longest int
	held    []byte      // may yet turn out to be the beginning of something
	own     []byte      // where it is read to if there is little room
	ready   []byte      // of that, may be read
	err     error       // that ended it
	trailer http.Header // known once the body is read
}

// newScrubber wraps a body.
func newScrubber(from io.ReadCloser, trailer http.Header, needles [][]byte) *scrubber {
	s := &scrubber{from: from, trailer: trailer, needles: needles}
	for _, n := range needles {
		s.longest = max(s.longest, len(n))
	}
	return s
}

// Close closes the body.
func (s *scrubber) Close() error { return s.from.Close() }

func (s *scrubber) Read(p []byte) (int, error) {
	switch {
	case len(s.ready) > 0 || s.err != nil:
	case len(p) < 2*s.longest+512:
		if s.own == nil {
			s.own = make([]byte, 2*s.longest+4096)
		}
		s.ready = s.own[:s.fill(s.own)]
	default:
		return s.fill(p), s.err
	}
	n := copy(p, s.ready)
	if s.ready = s.ready[n:]; len(s.ready) > 0 {
		return n, nil
	}
	return n, s.err
}

// fill reads until something may be read, and says how much: the rest of the room
// means nothing.
func (s *scrubber) fill(p []byte) (n int) {
	for n == 0 && s.err == nil {
		n = copy(p, s.held)
		var more int
		more, s.err = s.from.Read(p[n:])
		b := mask(p[:n+more], s.needles)
		keep := s.beginning(b)
		if n = len(b) - keep; s.err == nil {
			s.held = append(s.held[:0], b[n:]...)
			continue
		}
		if s.err == io.EOF { // else it broke off: the rest might have made it a secret
			n = len(b)
		}
		maskAll(s.trailer, s.needles)
	}
	return n
}

// beginning is how many of the last bytes may be the beginning of a needle: no
// more are held back, so that a stream of events flows.
func (s *scrubber) beginning(b []byte) int {
	for n := min(s.longest-1, len(b)); n > 0; n-- {
		end := b[len(b)-n:]
		for _, needle := range s.needles {
			if len(needle) > n && bytes.HasPrefix(needle, end) {
				return n
			}
		}
	}
	return 0
}

// maskAll overwrites every needle in headers.
func maskAll(headers http.Header, needles [][]byte) {
	for _, values := range headers {
		for i := range values {
			values[i] = string(mask([]byte(values[i]), needles))
		}
	}
}

// mute is an answer without provisional ones (1xx), which nobody searches.
type mute struct{ http.ResponseWriter }

// WriteHeader leaves provisional answers out.
func (m mute) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		m.ResponseWriter.WriteHeader(code)
	}
}

// Unwrap is for http.ResponseController.
func (m mute) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// mask overwrites every needle, so that the length stays.
func mask(b []byte, needles [][]byte) []byte {
	for _, n := range needles {
		for at := 0; ; {
			i := bytes.Index(b[at:], n)
			if i < 0 {
				break
			}
			at += i
			for j := range n {
				b[at+j] = '*'
			}
		}
	}
	return b
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

// quoted is a text as JSON writes it, without its quotes.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return strings.Trim(string(b), `"`)
}
