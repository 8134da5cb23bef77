package attack

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"nacre/attack/wire"
)

// maxLine is the longest line of output that is looked at.
const maxLine = 64 << 10

// maxEvidence is the longest evidence that a report shows.
const maxEvidence = 400

// collector reads the output of a program that may be hostile: line by line,
// with a limit on each line and on the whole, strictly, and without keeping
// anything but the results that were asked for.
type collector struct {
	asked   map[string]bool
	results map[string]wire.Result
	started map[string]bool
	last    string // the probe that started last
	began   func() // told of the first that starts; may be nil
	twice   map[string]bool
	noise   int   // lines that are no result
	bytes   int64 // all that came
	limit   int64 // beyond which reading stops
	marker  []byte
	marked  bool // the marker came through raw
	line    []byte
	tooLong bool
}

func newCollector(specs []wire.Spec, limit int64, marker string) *collector {
	c := &collector{asked: map[string]bool{}, results: map[string]wire.Result{}, started: map[string]bool{},
		twice: map[string]bool{}, limit: limit, marker: []byte(marker)}
	for _, s := range specs {
		c.asked[s.ID] = true
	}
	return c
}

// Write takes output as it comes. Over the limit it answers io.ErrShortWrite,
// which ends the reading.
func (c *collector) Write(b []byte) (int, error) {
	c.bytes += int64(len(b))
	for rest := b; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		part := rest
		if i >= 0 {
			part = rest[:i]
		}
		if len(c.line)+len(part) > maxLine {
			c.tooLong, c.line = true, c.line[:0]
		} else if !c.tooLong {
			c.line = append(c.line, part...)
		}
		if i < 0 {
			break
		}
		c.endLine()
		rest = rest[i+1:]
	}
	if c.bytes > c.limit {
		return len(b), io.ErrShortWrite
	}
	return len(b), nil
}

func (c *collector) endLine() {
	line := bytes.TrimRight(c.line, "\r")
	if len(c.marker) > 0 && bytes.Contains(line, c.marker) {
		c.marked = true
	}
	if r, ok := decode(line); c.tooLong || !ok || !c.asked[r.Probe] {
		c.noise++
	} else {
		c.take(r)
	}
	c.line, c.tooLong = c.line[:0], false
}

func (c *collector) take(r wire.Result) {
	if r.Verdict == wire.Started {
		c.started[r.Probe], c.last = true, r.Probe
		if c.began != nil {
			c.began()
		}
		return
	}
	if _, again := c.results[r.Probe]; again {
		c.twice[r.Probe] = true
		return
	}
	c.results[r.Probe] = r
}

// decode reads one line as a result: an object whose keys are known, appear
// once and hold strings, and nothing after it.
func decode(line []byte) (wire.Result, bool) {
	var r wire.Result
	if len(line) == 0 || line[0] != '{' || !utf8.Valid(line) {
		return r, false
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return r, false
	}
	fields := map[string]*string{"probe": &r.Probe, "verdict": (*string)(&r.Verdict), "evidence": &r.Evidence, "secret": &r.Secret}
	for decoder.More() {
		key, err := decoder.Token()
		name, isName := key.(string)
		field := fields[name]
		if err != nil || !isName || field == nil {
			return r, false
		}
		delete(fields, name)
		value, err := decoder.Token()
		text, isText := value.(string)
		if err != nil || !isText {
			return r, false
		}
		*field = text
	}
	if _, err := decoder.Token(); err != nil {
		return r, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return r, false
	}
	switch r.Verdict {
	case wire.Contained, wire.Escaped, wire.Info, wire.NotApplicable, wire.Error, wire.Started:
		return r, r.Probe != ""
	}
	return r, false
}

// clean makes text of an agent fit to be shown: one line, printable, short.
func clean(s string) string {
	if len(s) > maxEvidence {
		s = strings.ToValidUTF8(s[:maxEvidence], "") + "…"
	}
	var out strings.Builder
	for _, c := range s {
		if strconv.IsPrint(c) {
			out.WriteRune(c)
		} else {
			out.WriteString(strings.Trim(strconv.QuoteRuneToASCII(c), "'"))
		}
	}
	return out.String()
}
