package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"nacre/gateway/wire"
)

// needles are texts that are looked for, all in one pass: of every stride bytes two
// are looked at, and only where these are two that follow each other at the beginning
// of a needle is the place searched.
type needles struct {
	all     [][]byte
	longest int
	stride  int
	pairs   [1 << 16 / 64]uint64 // a bit for each two bytes
}

// maxStride bounds how many pairs there are of each needle: the more, the more often
// a place is searched in vain.
const maxStride = 16

// newNeedles makes needles of two bytes at least searchable; nil: there are none.
func newNeedles(all [][]byte) *needles {
	if len(all) == 0 {
		return nil
	}
	n := &needles{all: all, stride: maxStride}
	for _, one := range all {
		n.longest, n.stride = max(n.longest, len(one)), min(n.stride, len(one)-1)
	}
	for _, one := range all {
		for i := range n.stride {
			pair := binary.BigEndian.Uint16(one[i:])
			n.pairs[pair/64] |= 1 << (pair % 64)
		}
	}
	return n
}

// places are the parts of a text in which there may be needles.
func (n *needles) places(b []byte, try func([]byte) (on bool)) {
	if n == nil {
		return
	}
	for i := n.stride - 1; i+1 < len(b); i += n.stride {
		pair := binary.BigEndian.Uint16(b[i:])
		if n.pairs[pair/64]&(1<<(pair%64)) != 0 && !try(b[i+1-n.stride:min(len(b), i+n.longest)]) {
			return
		}
	}
}

// in tells whether a needle is in a text.
func (n *needles) in(b []byte) (found bool) {
	n.places(b, func(place []byte) bool {
		found = slices.ContainsFunc(n.all, func(one []byte) bool { return bytes.Contains(place, one) })
		return !found
	})
	return found
}

// mask overwrites every needle, so that the length stays.
func (n *needles) mask(b []byte) []byte {
	n.places(b, func(place []byte) bool {
		for _, one := range n.all {
			for at := 0; ; {
				i := bytes.Index(place[at:], one)
				if i < 0 {
					break
				}
				at += i
				for j := range one {
					place[at+j] = '*'
				}
			}
		}
		return true
	})
	return b
}

// maskAll overwrites every needle in headers.
func (n *needles) maskAll(headers http.Header) {
	for _, values := range headers {
		for i := range values {
			values[i] = string(n.mask([]byte(values[i])))
		}
	}
}

// beginning is how many of the last bytes may be the beginning of a needle.
func (n *needles) beginning(b []byte) int {
	if n == nil {
		return 0
	}
	for most := min(n.longest-1, len(b)); most > 0; most-- {
		end := b[len(b)-most:]
		for _, one := range n.all {
			if len(one) > most && bytes.HasPrefix(one, end) {
				return most
			}
		}
	}
	return 0
}

// searches keeps the needles of secrets, by their values.
type searches struct {
	mu   sync.Mutex
	made map[string]*needles
}

// maxSearches bounds how many are kept: tokens come and go.
const maxSearches = 16

// of are the needles of some secrets.
func (s *searches) of(secrets []wire.Secret) *needles {
	if len(secrets) == 0 {
		return nil
	}
	var key []byte
	for _, one := range secrets {
		key = append(binary.AppendUvarint(key, uint64(len(one.Value))), one.Value...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, known := s.made[string(key)]
	if !known {
		if len(s.made) >= maxSearches || s.made == nil {
			s.made = map[string]*needles{}
		}
		n = newNeedles(formsOf(secrets))
		s.made[string(key)] = n
	}
	return n
}

// forget forgets them.
func (s *searches) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = nil
}

// formsOf are the forms in which a reply may say a secret.
func formsOf(secrets []wire.Secret) (forms [][]byte) {
	for _, s := range secrets {
		value := string(s.Value)
		texts := []string{value, url.QueryEscape(value), url.PathEscape(value), quoted(value), hexOf(value), strings.ToUpper(hexOf(value))}
		_, password, both := strings.Cut(value, ":")
		if both && len(password) >= wire.Shortest {
			texts = append(texts, password)
		}
		for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			for shift := range 3 { // wherever it begins in what is encoded
				text := strings.TrimRight(coding.EncodeToString([]byte(strings.Repeat("x", shift)+value)), "=")
				first := []int{0, 2, 3}[shift] // characters that hold something else too
				last := len(text)
				if (shift+len(value))%3 != 0 {
					last--
				}
				texts = append(texts, text[first:last])
			}
		}
		for _, text := range texts {
			if len(text) >= wire.Shortest {
				forms = append(forms, []byte(text))
			}
		}
	}
	slices.SortFunc(forms, bytes.Compare)
	return slices.CompactFunc(forms, bytes.Equal)
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
