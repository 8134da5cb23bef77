package gateway

import (
	"io"
	"net/http"
)

// scrubber reads a reply and masks what must not be in it. It holds back as much
// as the longest of these, less one byte, so that none slips through in two
// pieces; no more than may be the beginning of one, so that a stream of events flows.
type scrubber struct {
	from    io.ReadCloser
	needles *needles
	held    []byte      // may yet turn out to be the beginning of something
	own     []byte      // where it is read to if there is little room
	ready   []byte      // of that, may be read
	err     error       // that ended it
	trailer http.Header // known once the body is read
}

// newScrubber wraps a body.
func newScrubber(from io.ReadCloser, trailer http.Header, n *needles) *scrubber {
	return &scrubber{from: from, trailer: trailer, needles: n}
}

// Close closes the body.
func (s *scrubber) Close() error { return s.from.Close() }

func (s *scrubber) Read(p []byte) (int, error) {
	switch {
	case len(s.ready) > 0 || s.err != nil:
	case s.needles != nil && len(p) < 2*s.needles.longest+512:
		if s.own == nil {
			s.own = make([]byte, 2*s.needles.longest+4096)
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
		b := s.needles.mask(p[:n+more])
		keep := s.needles.beginning(b)
		if n = len(b) - keep; s.err == nil {
			s.held = append(s.held[:0], b[n:]...)
			continue
		}
		if s.err == io.EOF { // else it broke off: the rest might have made it a secret
			n = len(b)
		}
		s.needles.maskAll(s.trailer)
	}
	return n
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
