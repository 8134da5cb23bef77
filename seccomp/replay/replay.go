// Package replay runs an assembled filter as the kernel does, to tell what it
// answers to a call. What is said of a refused call so comes from the very
// program that refused it. It knows the instructions that package seccomp
// writes, and no others.
package replay

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Call is the kernel's struct seccomp_data, without the instruction pointer.
type Call struct {
	Number, Arch uint32 // the latter as in the audit: unix.AUDIT_ARCH_…
	Args         [6]uint64
}

// arches are the kernel's words for architectures, by Go's names.
var arches = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// Judge is what a program answers to a call of an architecture, by Go's name.
// What the program puts to a supervisor is refused, with the errno beside it.
func Judge(p []unix.SockFilter, arch string, number uint32, args [6]uint64) (permit bool, errno unix.Errno) {
	answer, _, err := Run(p, Call{number, arches[arch], args})
	return err == nil && answer == unix.SECCOMP_RET_ALLOW, unix.Errno(answer & unix.SECCOMP_RET_DATA)
}

// Run interprets a program, and counts its steps. An instruction that is not
// known, or a way out of the program, is an error.
func Run(p []unix.SockFilter, c Call) (answer uint32, steps int, err error) {
	var a uint32
	for pc := 0; pc < len(p); pc++ {
		steps++
		i := p[pc]
		yes := false
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if a, err = c.word(i.K); err != nil {
				return 0, steps, err
			}
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K, steps, nil
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = a == i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			yes = a >= i.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			yes = a&i.K != 0
		default:
			return 0, steps, fmt.Errorf("instruction %d has the code %#x", pc, i.Code)
		}
		if yes {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	return 0, steps, fmt.Errorf("ran past the end")
}

// word is the 32-bit word at an offset of the structure.
func (c Call) word(offset uint32) (uint32, error) {
	switch {
	case offset%4 != 0 || offset >= 64:
		return 0, fmt.Errorf("load from offset %d", offset)
	case offset == 0:
		return c.Number, nil
	case offset == 4:
		return c.Arch, nil
	case offset < 16:
		return 0, fmt.Errorf("load of the instruction pointer")
	}
	return uint32(c.Args[(offset-16)/8] >> (8 * (offset % 8))), nil
}
