package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"nacre"
)

// What a reader must know of how records are written.
const (
	Version     = 1
	MaxRecord   = 64 << 10             // the most bytes of a record, newline included: longer fields are cut, visibly
	KindCrash   = reserved + "crash"   // tells of torn bytes before it, which it seals
	KindSegment = reserved + "segment" // the first of a file that continues another
	NoHash      = "0000000000000000000000000000000000000000000000000000000000000000"

	reserved   = "audit." // kinds that no event may have
	maxDetails = 64
)

// Record is an event as it stands in the log.
type Record struct {
	Version int       `json:"v"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"` // as the clock said, which may go backwards
	Prev    string    `json:"prev"`
	nacre.Event
	Hash string `json:"hash"`
}

// Head is the newest record, as far as the next one needs to know it.
type Head struct {
	Seq  uint64
	Hash string
}

// Next makes the line of the record that follows h, and the new head.
func (h Head) Next(e nacre.Event, now time.Time) (Head, []byte, error) {
	r := Record{Version: Version, Seq: h.Seq + 1, Time: now.UTC(), Prev: h.Hash}
	for limit := MaxRecord / 4; ; limit /= 2 {
		r.Event = tame(e, limit)
		body, err := r.Body()
		if err != nil {
			return h, nil, err
		}
		hash := digest(body)
		if line := append(body, ending(hash)...); len(line) <= MaxRecord {
			return Head{r.Seq, hash}, line, nil
		}
	}
}

// Body is what the hash of r covers: its line before the ending. For a record
// that has a hash, take that off first.
func (r Record) Body() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return bytes.TrimSuffix(b.Bytes(), []byte(ending(""))), err
}

// Split takes the body of a line, if the line ends with the hash of that.
func Split(line []byte) (body []byte, ok bool) {
	n := len(line) - len(ending(NoHash))
	if n < 0 || string(line[n:]) != ending(digest(line[:n])) {
		return nil, false
	}
	return line[:n], true
}

func ending(hash string) string { return `,"hash":"` + hash + "\"}\n" }

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// tame returns e with every text printable and cut to limit bytes, so that a
// hostile name can neither forge a line nor reach the reader's terminal.
func tame(e nacre.Event, limit int) nacre.Event {
	for _, s := range []*string{&e.Kind, &e.Sandbox, &e.Plan, &e.Subject, &e.Caller.Name, &e.Rule, &e.Reason} {
		*s = visible(*s, limit)
	}
	detail := make(map[string]string, len(e.Detail))
	for i, k := range slices.Sorted(maps.Keys(e.Detail)) {
		if i == maxDetails {
			detail[`\cut`] = fmt.Sprintf("%d more", len(e.Detail)-i)
			break
		}
		detail[visible(k, limit)] = visible(e.Detail[k], limit)
	}
	e.Detail = detail
	return e
}

// visible writes s so that distinct texts stay distinct. Only visible itself
// writes a lone backslash, so that no text can pass for an escape or a cut.
func visible(s string, limit int) string {
	var b strings.Builder
	kept := s[:min(len(s), limit)]
	for i, r := range kept {
		switch invalid := r == utf8.RuneError && !strings.HasPrefix(kept[i:], "\ufffd"); {
		case r == '\\':
			b.WriteString(`\\`)
		case invalid || r < utf8.RuneSelf && !Plain(r):
			fmt.Fprintf(&b, `\x%02x`, kept[i])
		case !Plain(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	if len(s) > limit {
		fmt.Fprintf(&b, `\cut{%d bytes, sha256:%s}`, len(s), digest([]byte(s)))
	}
	return b.String()
}

// Plain reports whether r shows as itself: no control, no soft hyphen, mark
// without width, separator, change of direction or tag. The list is fixed, not
// Unicode's of the day: a log must read the same for every later version.
func Plain(r rune) bool {
	return r >= ' ' && (r < 0x7f || r > 0x9f) && r != 0xad && r != 0x61c && r != 0x180e && (r < 0x200b || r > 0x200f) &&
		(r < 0x2028 || r > 0x202e) && (r < 0x2060 || r > 0x206f) && r != 0xfeff && (r < 0xfff9 || r > 0xfffb) && (r < 0xe0000 || r > 0xe0fff)
}
