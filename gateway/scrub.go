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
	ready   []byte // may be read
	held    []byte // may yet turn out to be the beginning of something
	err     error
	trailer http.Header // known once the body is read
}

// newScrubber wraps a body. One that can be written to, as after a change of
// protocol, still can.
func newScrubber(from io.ReadCloser, trailer http.Header, needles [][]byte) io.ReadCloser {
	s := &scrubber{from: from, trailer: trailer, needles: needles}
	for _, n := range needles {
		s.longest = max(s.longest, len(n))
	}
	if w, ok := from.(io.Writer); ok {
		return struct {
			*scrubber
			io.Writer
		}{s, w}
	}
	return s
}

// Close closes the body.
func (s *scrubber) Close() error { return s.from.Close() }

func (s *scrubber) Read(p []byte) (int, error) {
	for len(s.ready) == 0 && s.err == nil {
		piece := make([]byte, 32<<10)
		var n int
		n, s.err = s.from.Read(piece)
		s.held = mask(append(s.held, piece[:n]...), s.needles)
		keep := s.beginning()
		if s.err != nil {
			if s.err != io.EOF { // broken off: the rest might have made it a secret
				s.held = s.held[:len(s.held)-keep]
			}
			keep = 0
			maskAll(s.trailer, s.needles)
		}
		cut := len(s.held) - keep
		s.ready, s.held = s.held[:cut:cut], append([]byte(nil), s.held[cut:]...)
	}
	n := copy(p, s.ready)
	s.ready = s.ready[n:]
	if n == 0 {
		return 0, s.err
	}
	return n, nil
}

// beginning is how many of the last bytes may be the beginning of a needle: no
// more are held back, so that a stream of events flows.
func (s *scrubber) beginning() int {
	for n := min(s.longest-1, len(s.held)); n > 0; n-- {
		end := s.held[len(s.held)-n:]
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
