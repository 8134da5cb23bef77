package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// program is what a family comes to: parts of which the first that answers
// decides. The last always answers.
type program struct {
	limit string // the condition in words
	parts []part
}

// part is what one line makes of the program.
type part struct {
	text string
	code []string // instructions, as Go
}

// compile makes the program of a family. Said is what earlier sections have made of
// each call.
func compile(s section, f family, said map[string][]program) (p program, err error) {
	ended := false
	for i, line := range f.details {
		word, tests, conditional := strings.Cut(line, " if ")
		last, otherwise := strings.CutPrefix(line, "else ")
		switch {
		case ended:
			err = errors.New("after else nothing counts")
		case line == "else as before":
			err, ended = p.before(f.names, said), true
		case otherwise:
			err, ended = p.add(line, last, nil), true
		case conditional:
			err = p.add(line, word, strings.Split(tests, " and "))
		case i > 0:
			err = errors.New("this is no condition, and the words for it come first")
		default:
			p.limit = line
		}
		if err != nil {
			return p, fmt.Errorf("%q: %w", line, err)
		}
	}
	if conditional := len(p.parts) > 0; conditional != (p.limit != "") {
		return p, errors.New("it has conditions, or words for them, but not both")
	}
	if !ended {
		err = p.add("the section: "+s.answer, s.answer, nil)
	}
	return p, err
}

// add appends what gives an answer where all tests hold, of which there may be none.
func (p *program) add(text, word string, tests []string) error {
	last, err := answer(word)
	if err != nil {
		return err
	}
	code := []string{last}
	for _, test := range slices.Backward(tests) {
		before, err := condition(test, len(code))
		if err != nil {
			return err
		}
		code = append(before, code...)
	}
	if len(code) > 255 {
		return errors.New("too long for a jump")
	}
	p.parts = append(p.parts, part{text, code})
	return nil
}

// before appends the one program that all these calls have so far.
func (p *program) before(names []string, said map[string][]program) error {
	earlier := said[names[0]]
	for _, name := range names {
		if len(said[name]) != 1 {
			return fmt.Errorf("before, %d sections name %s: it must be one", len(said[name]), name)
		}
		if !reflect.DeepEqual(said[name], earlier) {
			return fmt.Errorf("before, they differ: %s and %s", names[0], name)
		}
	}
	p.parts = append(p.parts, earlier[0].parts...)
	return nil
}

// answer is the instruction for a word.
func answer(word string) (string, error) {
	switch word {
	case "permit":
		return "{Code: answer, K: permit}", nil
	case "quiet":
		return "{Code: answer, K: refuse | uint32(unix.EPERM)}", nil
	case "ENOSYS":
		return "{Code: answer, K: refuse | uint32(unix.ENOSYS)}", nil
	case "EPERM", "EINVAL", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ENOPROTOOPT", "EOPNOTSUPP":
		return "{Code: answer, K: report | uint32(unix." + word + ")}", nil
	}
	return "", fmt.Errorf("no answer is called %q", word)
}

var (
	test   = regexp.MustCompile(`^([0-5])(\.high)?(?:/[\w|]+=(\w+))? (is|has)((?: [\w|]+=\w+)+)$`)
	number = regexp.MustCompile(`=(\w+)`)
)

// condition is the code of one test, such as "1 is A=1 B=2", "2 has A|B=3" or
// "0/type=0xf is A=1". It falls through where the test holds; where not, it
// skips instructions.
func condition(text string, skip int) (code []string, err error) {
	m := test.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%q is no test", text)
	}
	for _, n := range number.FindAllStringSubmatch(text, -1) {
		if _, err := strconv.ParseUint(n[1], 0, 32); err != nil {
			return nil, err
		}
	}
	arg, high, mask, verb, values := m[1], m[2], m[3], m[4], number.FindAllStringSubmatch(m[5], -1)
	offset := "16 + 8*" + arg // in struct seccomp_data; little-endian: the low half is first
	if high != "" {
		offset += " + 4"
	}
	code = append(code, fmt.Sprintf("{Code: load, K: %s}", offset))
	switch {
	case verb == "has" && (mask != "" || len(values) > 1):
		return nil, fmt.Errorf("%q: has is of one set of bits", text)
	case verb == "has":
		return append(code, fmt.Sprintf("{Code: has, Jf: %d, K: %s}", skip, values[0][1])), nil
	case mask != "":
		code = append(code, fmt.Sprintf("{Code: mask, K: %s}", mask))
	}
	last := len(values) - 1
	for i, v := range values[:last] {
		code = append(code, fmt.Sprintf("{Code: equal, Jt: %d, K: %s}", last-i, v[1]))
	}
	return append(code, fmt.Sprintf("{Code: equal, Jf: %d, K: %s}", skip, values[last][1])), nil
}
