package seccomp

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// data is the kernel's struct seccomp_data.
type data struct {
	number, arch uint32
	args         [6]uint64
}

// word is the 32-bit word at an offset of the structure.
func (d data) word(offset uint32) (uint32, error) {
	switch {
	case offset%4 != 0 || offset >= 64:
		return 0, fmt.Errorf("load from offset %d", offset)
	case offset == 0:
		return d.number, nil
	case offset == 4:
		return d.arch, nil
	case offset < 16:
		return 0, fmt.Errorf("load of the instruction pointer")
	}
	return uint32(d.args[(offset-16)/8] >> (8 * (offset % 8))), nil
}

// run interprets a program as the kernel does, for the instructions that the
// assembler writes; any other, or a way out of the program, is an error.
func run(p []unix.SockFilter, d data) (answer uint32, steps int, err error) {
	var a uint32
	for pc := 0; pc < len(p); pc++ {
		steps++
		i := p[pc]
		yes := false
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			if a, err = d.word(i.K); err != nil {
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
