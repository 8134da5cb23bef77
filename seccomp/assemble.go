package seccomp

import (
	"cmp"

	"golang.org/x/sys/unix"
)

// Offsets in the kernel's struct seccomp_data.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

type program []unix.SockFilter

func op(code int, k uint32) unix.SockFilter { return unix.SockFilter{Code: uint16(code), K: k} }

func load(offset uint32) unix.SockFilter { return op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset) }

// jump compares the accumulator with k and skips yes or no instructions. They
// must fit a byte: a test builds every program that the options can make.
func jump(code int, k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: uint16(unix.BPF_JMP | code | unix.BPF_K), Jt: uint8(yes), Jf: uint8(no), K: k}
}

// assembler turns spans into a program; notify is Options.Notify.
type assembler struct{ notify bool }

// assemble puts the architecture check before the search over the spans.
func (a assembler) assemble(audit uint32, spans []span) program {
	return append(program{
		load(offsetArch),
		jump(unix.BPF_JEQ, audit, 1, 0),
		op(unix.BPF_RET, unix.SECCOMP_RET_KILL_PROCESS),
		load(offsetNumber),
	}, a.search(spans)...)
}

// search is a balanced tree of comparisons with the rules as its leaves.
func (a assembler) search(spans []span) program {
	if len(spans) == 1 {
		return a.rule(spans[0].rule)
	}
	middle := len(spans) / 2
	low, high := a.search(spans[:middle]), a.search(spans[middle:])
	p := program{jump(unix.BPF_JGE, spans[middle].from, len(low), 0)}
	if len(low) > 255 { // too far for a conditional jump
		p = program{jump(unix.BPF_JGE, spans[middle].from, 0, 1), op(unix.BPF_JMP|unix.BPF_JA, uint32(len(low)))}
	}
	return append(append(p, low...), high...)
}

// rule is the code of one rule; it always ends in a return.
func (a assembler) rule(r rule) program {
	var p program
	for _, c := range r.clauses {
		code := program{a.answer(c.then)}
		for i := len(c.when) - 1; i >= 0; i-- {
			// A test that fails leaves the clause, over all that was built so far.
			code = append(c.when[i].code(len(code)), code...)
		}
		p = append(p, code...)
	}
	return append(p, a.answer(r.last))
}

// code falls through where the test holds, and skips instructions where not.
func (t test) code(skip int) program {
	word := offsetArgs + 8*t.arg // little-endian: the low half is first
	if t.high {
		word += 4
	}
	p := program{load(word)}
	if t.values == nil {
		return append(p, jump(unix.BPF_JSET, t.mask, 0, skip))
	}
	if t.mask != ^uint32(0) {
		p = append(p, op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, t.mask))
	}
	last := len(t.values) - 1
	for i, v := range t.values[:last] {
		p = append(p, jump(unix.BPF_JEQ, v, last-i, 0))
	}
	return append(p, jump(unix.BPF_JEQ, t.values[last], 0, skip))
}

// answer returns a verdict to the kernel. An errno of zero must not get there:
// it would mean that the call succeeded.
func (a assembler) answer(v Verdict) unix.SockFilter {
	errno := cmp.Or(v.Errno, unix.EPERM)
	k := unix.SECCOMP_RET_ERRNO | uint32(errno)
	switch {
	case v.Permit:
		k = unix.SECCOMP_RET_ALLOW
	case a.notify && errno != unix.ENOSYS && !v.Quiet:
		// The kernel ignores the errno here. It is for whoever finds that there
		// can be no listener, and loads the program without.
		k = unix.SECCOMP_RET_USER_NOTIF | uint32(errno)
	}
	return op(unix.BPF_RET, k)
}
