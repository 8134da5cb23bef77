package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"nacre"
)

const (
	version    = 1
	maxDetails = 64
	reserved   = "audit." // kinds that only this package writes
	kindCrash  = reserved + "crash"
	noHash     = "0000000000000000000000000000000000000000000000000000000000000000"
)

// MaxRecord is the most bytes that a record takes, newline included. Longer
// fields are cut, visibly.
const MaxRecord = 64 << 10

// Record is an event as it stands in the log.
type Record struct {
	Version int       `json:"v"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"` // as the clock said, which may go backwards
	Prev    string    `json:"prev"`
	nacre.Event
	Hash string `json:"hash"`

	Problem string `json:"-"` // where set, this place was tampered with: trust no other field
}

// Crash reports whether r tells of a torn record before it, which it seals.
func (r Record) Crash() bool { return r.Kind == kindCrash }

// head is the newest record, as far as the next one needs to know it.
type head struct {
	seq  uint64
	hash string
}

// next makes the line of the record that follows h, and the new head.
func (h head) next(e nacre.Event, now time.Time) (head, []byte, error) {
	r := Record{Version: version, Seq: h.seq + 1, Time: now.UTC(), Prev: h.hash}
	for limit := MaxRecord / 4; ; limit /= 2 {
		r.Event = tame(e, limit)
		body, err := r.body()
		if err != nil {
			return h, nil, err
		}
		hash := digest(body)
		if line := append(body, ending(hash)...); len(line) <= MaxRecord {
			return head{r.Seq, hash}, line, nil
		}
	}
}

// body is what the hash covers: the line before its ending.
func (r Record) body() ([]byte, error) {
	r.Hash = ""
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return bytes.TrimSuffix(b.Bytes(), []byte(ending(""))), err
}

func ending(hash string) string { return `,"hash":"` + hash + "\"}\n" }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// decode reads a line. Nothing but the exact bytes that next makes is a record.
func decode(line []byte) (Record, error) {
	var r Record
	n := len(line) - len(ending(noHash))
	if n < 0 || len(line) > MaxRecord {
		return r, errors.New("not a record: too short or too long")
	}
	if string(line[n:]) != ending(digest(line[:n])) {
		return r, errors.New("changed: its hash is not that of its content")
	}
	err := json.Unmarshal(line, &r)
	again, _ := r.body() // where it fails, it is not the same either
	hidden := strings.IndexFunc(fmt.Sprint(r), func(c rune) bool { return !plain(c) })
	if err != nil || r.Version != version || !bytes.Equal(again, line[:n]) || hidden >= 0 {
		return Record{}, fmt.Errorf("not a record of version %d as this program writes it", version)
	}
	return r, nil
}

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
		case invalid || r < utf8.RuneSelf && !plain(r):
			fmt.Fprintf(&b, `\x%02x`, kept[i])
		case !plain(r):
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

// plain reports whether r shows as itself: no control, no soft hyphen, mark
// without width, separator, change of direction or tag. The list is fixed, not
// Unicode's of the day: a log must read the same for every later version.
func plain(r rune) bool {
	return r >= ' ' && (r < 0x7f || r > 0x9f) && r != 0xad && r != 0x61c && r != 0x180e &&
		(r < 0x200b || r > 0x200f) && (r < 0x2028 || r > 0x202e) && (r < 0x2060 || r > 0x206f) &&
		r != 0xfeff && (r < 0xfff9 || r > 0xfffb) && (r < 0xe0000 || r > 0xe0fff)
}
