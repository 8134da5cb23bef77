package seccomp

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// Filter is a program ready to be loaded. The zero value has no instructions,
// which the kernel refuses to load.
type Filter []unix.SockFilter

// The instructions that a filter is made of. The comparisons skip Jt instructions
// where they hold, else Jf.
const (
	load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS   // looks at the word at offset K of struct seccomp_data
	mask    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K  // leaves of it the bits K
	equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K  // is it K?
	atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K  // is it K or more?
	has     = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K // has it any of the bits K?
	jump    = unix.BPF_JMP | unix.BPF_JA                // skips K instructions
	answer  = unix.BPF_RET | unix.BPF_K                 // ends, with one of those below
)

// What it answers. The kernel ignores the errno of a report: that is for the
// supervisor, and for whoever finds that there can be none (Silent).
const (
	permit = unix.SECCOMP_RET_ALLOW
	refuse = unix.SECCOMP_RET_ERRNO      // with an errno
	report = unix.SECCOMP_RET_USER_NOTIF // with an errno: has the supervisor refuse
)

// Bytes is the program as the kernel reads it on both architectures: eight
// bytes for each instruction, little-endian.
func (f Filter) Bytes() []byte {
	b := make([]byte, 0, 8*len(f))
	for _, i := range f {
		b = append(binary.LittleEndian.AppendUint16(b, i.Code), i.Jt, i.Jf)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return b
}

// Silent is the same filter without reports: it answers with the same errno.
func (f Filter) Silent() Filter {
	silent := slices.Clone(f)
	for i, op := range silent {
		if op.Code == answer && op.K&unix.SECCOMP_RET_ACTION_FULL == report {
			silent[i].K = refuse | op.K&unix.SECCOMP_RET_DATA
		}
	}
	return silent
}

// span is a run of call numbers, up to the next span, with one treatment.
type span struct {
	from uint32
	code Filter // always answers
}

// search is a balanced tree of comparisons with the spans as its leaves. Jumps must
// fit a byte: a test builds every program that the options can make.
func search(spans []span) Filter {
	if len(spans) == 1 {
		return spans[0].code
	}
	middle := len(spans) / 2
	low, high := search(spans[:middle]), search(spans[middle:])
	f := Filter{{Code: atLeast, Jt: uint8(len(low)), K: spans[middle].from}}
	if len(low) > 255 { // too far for a conditional jump
		f = Filter{{Code: atLeast, Jf: 1, K: spans[middle].from}, {Code: jump, K: uint32(len(low))}}
	}
	return slices.Concat(f, low, high)
}
