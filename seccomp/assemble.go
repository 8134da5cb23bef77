package seccomp

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// Filter is a program ready to be loaded. The zero value has no instructions,
// which the kernel refuses to load.
type Filter []unix.SockFilter

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
		if op.Code == unix.BPF_RET && op.K&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_USER_NOTIF {
			silent[i].K = unix.SECCOMP_RET_ERRNO | op.K&unix.SECCOMP_RET_DATA
		}
	}
	return silent
}

// Offsets in the kernel's struct seccomp_data.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

func op(code int, k uint32) unix.SockFilter { return unix.SockFilter{Code: uint16(code), K: k} }

func load(offset uint32) unix.SockFilter { return op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset) }

// jump compares the accumulator with k and skips yes or no instructions. They
// must fit a byte: a test builds every program that the options can make.
func jump(code int, k uint32, yes, no int) unix.SockFilter {
	return unix.SockFilter{Code: uint16(unix.BPF_JMP | code | unix.BPF_K), Jt: uint8(yes), Jf: uint8(no), K: k}
}

// span is a run of call numbers, up to the next span, with one treatment.
type span struct {
	from uint32
	code Filter // always returns
}

// search is a balanced tree of comparisons with the spans as its leaves.
func search(spans []span) Filter {
	if len(spans) == 1 {
		return spans[0].code
	}
	middle := len(spans) / 2
	low, high := search(spans[:middle]), search(spans[middle:])
	f := Filter{jump(unix.BPF_JGE, spans[middle].from, len(low), 0)}
	if len(low) > 255 { // too far for a conditional jump
		f = Filter{jump(unix.BPF_JGE, spans[middle].from, 0, 1), op(unix.BPF_JMP|unix.BPF_JA, uint32(len(low)))}
	}
	return slices.Concat(f, low, high)
}
