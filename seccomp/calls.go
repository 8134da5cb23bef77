package seccomp

import (
	_ "embed"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Verdict is the filter's answer to one call. The zero value refuses it.
type Verdict struct {
	Permit bool
	Errno  unix.Errno // of a refusal; 0 is EPERM
	Quiet  bool       // of a refusal: honest programs probe, so it is not reported
}

// answers are the words of calls.txt for verdicts.
var answers = map[string]Verdict{"permit": {Permit: true}, "quiet": {Quiet: true}, "EPERM": {Errno: unix.EPERM},
	"ENOSYS": {Errno: unix.ENOSYS}, "EINVAL": {Errno: unix.EINVAL}, "EAFNOSUPPORT": {Errno: unix.EAFNOSUPPORT},
	"EPROTONOSUPPORT": {Errno: unix.EPROTONOSUPPORT}, "ENOPROTOOPT": {Errno: unix.ENOPROTOOPT}, "EOPNOTSUPP": {Errno: unix.EOPNOTSUPP}}

// rule is how one call is treated: the first clause that holds decides, else
// the last verdict.
type rule struct {
	clauses []clause
	last    Verdict
	more    bool   // last is what was said of the call before
	limit   string // the condition in words; empty where there is none
}

// clause gives its verdict where all its tests hold.
type clause struct {
	when []test
	then Verdict
}

// test looks at one half of one argument: the low 32 bits, unless high is set.
type test struct {
	arg    uint32
	mask   uint32
	values []uint32 // nil: any bit under the mask is set
	high   bool
}

//go:embed calls.txt
var callsFile string

// section is a part of calls.txt.
type section struct {
	name, warning string
	families      []family
}

// family is some calls with one reason and one rule. A name that an
// architecture lacks is left out there.
type family struct {
	names  []string
	reason string
	rule   rule
}

// sections reads calls.txt, which says itself how it is written. A test reads
// every line of it; what is malformed ends the program.
func sections() (all []section) {
	var otherwise Verdict
	for line := range strings.Lines(callsFile) {
		text, reason, _ := strings.Cut(line, "#")
		words, reason := strings.Fields(text), strings.TrimSpace(reason)
		switch last := len(all) - 1; {
		case len(words) == 0:
		case line[0] == '[':
			otherwise = answer(words[1])
			all = append(all, section{name: strings.Trim(words[0], "[]"), warning: reason})
		case line[0] == '\t':
			of := all[last].families
			of[len(of)-1].rule.add(strings.TrimSpace(text))
		default:
			all[last].families = append(all[last].families, family{words, reason, rule{last: otherwise}})
		}
	}
	return all
}

// add adds a line about a call to its rule.
func (r *rule) add(line string) {
	verdict, tests, conditional := strings.Cut(line, " if ")
	last, otherwise := strings.CutPrefix(line, "else ")
	switch {
	case line == "else as before":
		r.more = true
	case otherwise:
		r.last = answer(last)
	case conditional:
		c := clause{then: answer(verdict)}
		for text := range strings.SplitSeq(tests, " and ") {
			c.when = append(c.when, condition(strings.Fields(text)))
		}
		r.clauses = append(r.clauses, c)
	default:
		r.limit = line
	}
}

// condition is one test, such as "1 is A=1 B=2", "2 has A|B=3" or "0/type=0xf is A=1".
func condition(words []string) test {
	arg, mask, masked := strings.Cut(words[0], "/")
	arg, high := strings.CutSuffix(arg, ".high")
	t := test{arg: value(arg), mask: ^uint32(0), high: high}
	if masked {
		t.mask = value(mask)
	}
	if words[1] == "has" {
		t.mask = value(words[2])
		return t
	}
	t.values = make([]uint32, 0, len(words)-2)
	for _, word := range words[2:] {
		t.values = append(t.values, value(word))
	}
	return t
}

func answer(word string) Verdict {
	v, ok := answers[word]
	if !ok {
		panic("calls.txt: no answer is called " + word)
	}
	return v
}

// value is that of a word such as AF_UNIX=1, whose name is for people (and a test).
func value(word string) uint32 {
	n, err := strconv.ParseUint(word[strings.Index(word, "=")+1:], 0, 32)
	if err != nil {
		panic("calls.txt: " + err.Error())
	}
	return uint32(n)
}
