package seccomp

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Verdict is what the filter must answer to a call.
type Verdict struct {
	Permit bool
	Errno  unix.Errno // of a refusal; 0 is EPERM
	Quiet  bool       // of a refusal: it is not reported
}

// refusal is one with an error.
func refusal(e unix.Errno) Verdict { return Verdict{Errno: e} }

// section is a part of calls.txt.
type section struct {
	name, answer, warning string
	families              []family
}

// family is some calls with one reason, and what is said of them.
type family struct {
	names  []string
	reason string
	lines  []string
}

// callsFile says itself how it is written.
//
//go:embed calls.txt
var callsFile string

// sections reads calls.txt, apart from the generator.
func sections() (all []*section) {
	for line := range strings.Lines(callsFile) {
		text, after, _ := strings.Cut(strings.TrimRight(line, "\n"), " # ")
		switch words := strings.Fields(text); {
		case len(words) == 0 || words[0] == "#":
		case strings.HasPrefix(line, "["):
			all = append(all, &section{strings.Trim(words[0], "[]"), words[1], after, nil})
		case line[0] != '\t':
			s := all[len(all)-1]
			s.families = append(s.families, family{words, after, nil})
		default:
			s := all[len(all)-1]
			f := &s.families[len(s.families)-1]
			f.lines = append(f.lines, strings.TrimSpace(text))
		}
	}
	return all
}

// families are those of a section.
func families(name string) []family {
	all := sections()
	return all[slices.IndexFunc(all, func(s *section) bool { return s.name == name })].families
}

// Digest is the SHA-256 of Bytes, in the form "sha256:…".
func (f Filter) Digest() string {
	sum := sha256.Sum256(f.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:])
}

// said is what calls.txt says of one call: the first clause that holds decides,
// else the last verdict.
type said struct {
	clauses []clause
	last    Verdict
}

// clause gives its verdict where all its tests hold.
type clause struct {
	when []comparison
	then Verdict
}

// comparison looks at one half of one argument: the low 32 bits, unless high is set.
type comparison struct {
	arg    uint32
	mask   uint32
	values []uint32 // nil: any bit under the mask is set
	high   bool
}

// numbered is one system call of an architecture.
type numbered struct {
	number uint32
	name   string
}

// judged is a table beside what must come of it. It reads calls.txt by itself
// and makes no program: tests compare it with the generated one.
type judged struct {
	*Table
	options Options
	audit   uint32
	numbers []numbered
	named   map[uint32]string
	said    map[string]said
}

func table(t *testing.T, o Options) *judged {
	t.Helper()
	j, err := judge(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func judge(o Options) (*judged, error) {
	table, err := NewTable(o)
	if err != nil {
		return nil, err
	}
	j := &judged{Table: table, options: o, audit: audits[o.Arch], named: map[uint32]string{}, said: read(o)}
	for number, name := range numbers[o.Arch] {
		if name != "" {
			j.numbers, j.named[uint32(number)] = append(j.numbers, numbered{uint32(number), name}), name
		}
	}
	return j, nil
}

// read is calls.txt as these options have it.
func read(o Options) map[string]said {
	all := map[string]said{}
	for _, s := range sections() {
		if s.warning != "" && !slices.Contains(o.Groups, s.name) || s.name == "without-loopback" && o.Loopback || s.name == "watched" && !o.Watched || s.name == "of-nacre" && o.Only == nil {
			continue
		}
		for _, f := range s.families {
			for _, call := range f.names {
				now := said{last: verdict(s.answer)}
				for _, line := range f.lines {
					now = now.also(line, all[call])
				}
				all[call] = now
			}
		}
	}
	return all
}

// also is what is said with one line more, and what was said before.
func (s said) also(line string, before said) said {
	answer, tests, conditional := strings.Cut(line, " if ")
	switch {
	case line == "else as before":
		return said{slices.Concat(s.clauses, before.clauses), before.last}
	case strings.HasPrefix(line, "else "):
		s.last = verdict(line[len("else "):])
	case conditional:
		c := clause{then: verdict(answer)}
		for text := range strings.SplitSeq(tests, " and ") {
			c.when = append(c.when, compare(strings.Fields(text)))
		}
		s.clauses = append(slices.Clone(s.clauses), c)
	}
	return s
}

func compare(words []string) comparison {
	arg, mask, masked := strings.Cut(words[0], "/")
	low := strings.TrimSuffix(arg, ".high")
	c := comparison{arg: number32(low), mask: ^uint32(0), high: low != arg}
	if masked {
		c.mask = number32(mask)
	}
	if words[1] == "has" {
		c.mask = number32(words[2])
		return c
	}
	for _, word := range words[2:] {
		c.values = append(c.values, number32(word))
	}
	return c
}

func number32(word string) uint32 {
	n, err := strconv.ParseUint(word[strings.Index(word, "=")+1:], 0, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func verdict(word string) Verdict {
	for e := range unix.Errno(200) {
		if unix.ErrnoName(e) == word || word == "EOPNOTSUPP" && e == unix.EOPNOTSUPP {
			return refusal(e)
		}
	}
	return map[string]Verdict{"permit": {Permit: true}, "quiet": {Quiet: true}}[word]
}

// Judge is what the filter must answer to a call of the table's architecture.
func (j *judged) Judge(number uint32, args [6]uint64) Verdict {
	name := j.named[number]
	switch {
	case j.options.Arch == AMD64 && number >= x32:
		return Verdict{}
	case name == "":
		return refusal(unix.ENOSYS)
	case j.options.Only != nil && !slices.Contains(j.options.Only, name):
		return Verdict{}
	}
	return j.said[name].judge(args)
}

func (s said) judge(args [6]uint64) Verdict {
	fails := func(c comparison) bool {
		v := uint32(args[c.arg])
		if c.high {
			v = uint32(args[c.arg] >> 32)
		}
		v &= c.mask
		return c.values == nil && v == 0 || c.values != nil && !slices.Contains(c.values, v)
	}
	for _, c := range s.clauses {
		if !slices.ContainsFunc(c.when, fails) {
			return c.then
		}
	}
	return s.last
}
