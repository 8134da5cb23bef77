package seccomp

import (
	"cmp"
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errnos are the words of calls.txt for answers, "permit" and the errors.
var errnos = map[string]unix.Errno{"permit": 0, "quiet": unix.EPERM, "EPERM": unix.EPERM, "ENOSYS": unix.ENOSYS, "EINVAL": unix.EINVAL,
	"EAFNOSUPPORT": unix.EAFNOSUPPORT, "EPROTONOSUPPORT": unix.EPROTONOSUPPORT, "ENOPROTOOPT": unix.ENOPROTOOPT, "EOPNOTSUPP": unix.EOPNOTSUPP}

// Call is one system call as the options treat it. The zero value refuses it.
type Call struct {
	Group  string // where that is from: "base" or a group's name
	Reason string
	Limit  string // the conditions in words; empty where there are none
	code   Filter // of the conditions: returns where one holds, else falls through
	last   string // the word for the answer then; empty is EPERM

	earlier       Filter // both, as an earlier section has them
	earlierAnswer string
}

// Permit tells whether it is permitted: always, or under the conditions.
func (c Call) Permit() bool { return c.last == "permit" || c.Limit != "" }

// callsFile says itself how it is written. Tests read every line of it; what is
// malformed ends the program.
//
//go:embed calls.txt
var callsFile string

// with is the call with one line more about it.
func (c Call) with(line string, notify bool) Call {
	word, tests, conditional := strings.Cut(line, " if ")
	last, otherwise := strings.CutPrefix(line, "else ")
	switch {
	case line == "else as before":
		c.code, c.last = slices.Concat(c.code, c.earlier), c.earlierAnswer
	case otherwise:
		c.last = last
	case conditional:
		code := Filter{answer(word, notify)}
		for _, text := range slices.Backward(strings.Split(tests, " and ")) {
			code = append(condition(strings.Fields(text), len(code)), code...)
		}
		c.code = slices.Concat(c.code, code)
	default:
		c.Limit = line
	}
	return c
}

// condition is the code of one test, such as "1 is A=1 B=2", "2 has A|B=3" or
// "0/type=0xf is A=1". It falls through where the test holds; where not, it
// skips instructions.
func condition(words []string, skip int) Filter {
	arg, mask, masked := strings.Cut(words[0], "/")
	arg, high := strings.CutSuffix(arg, ".high")
	f := Filter{load(offsetArgs + 8*value(arg))} // little-endian: the low half is first
	if high {
		f[0].K += 4
	}
	if words[1] == "has" {
		return append(f, jump(unix.BPF_JSET, value(words[2]), 0, skip))
	}
	if masked {
		f = append(f, op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, value(mask)))
	}
	values := words[2:]
	last := len(values) - 1
	for i, word := range values[:last] {
		f = append(f, jump(unix.BPF_JEQ, value(word), last-i, 0))
	}
	return append(f, jump(unix.BPF_JEQ, value(values[last]), 0, skip))
}

// answer returns what a word stands for to the kernel.
func answer(word string, notify bool) unix.SockFilter {
	errno, known := errnos[cmp.Or(word, "EPERM")]
	switch {
	case !known:
		panic("calls.txt: no answer is called " + word)
	case word == "permit":
		return op(unix.BPF_RET, unix.SECCOMP_RET_ALLOW)
	case notify && word != "quiet" && word != "ENOSYS":
		// The kernel ignores the errno here. It is for whoever finds that there
		// can be no listener, and loads the program without.
		return op(unix.BPF_RET, unix.SECCOMP_RET_USER_NOTIF|uint32(errno))
	}
	return op(unix.BPF_RET, unix.SECCOMP_RET_ERRNO|uint32(errno))
}

// value is that of a word such as AF_UNIX=1, whose name is for people (and a test).
func value(word string) uint32 {
	n, err := strconv.ParseUint(word[strings.Index(word, "=")+1:], 0, 32)
	if err != nil {
		panic("calls.txt: " + err.Error())
	}
	return uint32(n)
}
