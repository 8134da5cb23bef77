package seccomp

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Arch is an architecture by its Go name. The zero value is none.
type Arch string

// The architectures.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Options are what of a plan bears on its filter. The zero value makes none.
type Options struct {
	Arch     Arch
	Groups   []string // added to the base list
	Loopback bool     // without it there are no Internet sockets
	Notify   bool     // refusals are put to the supervisor, else answered at once
	Watched  bool     // memory is counted by a watchdog: what no process maps must not be had
	Only     []string // unless nil: just these calls of all that, for a process of Nacre's own
}

// numbered is one system call of an architecture.
type numbered struct {
	number uint32
	name   string
}

// lookup is the kernel's word for an architecture, and its calls by number.
func (a Arch) lookup() (audit uint32, numbers []numbered, err error) {
	switch a {
	case AMD64:
		return unix.AUDIT_ARCH_X86_64, numbersAMD64, nil
	case ARM64:
		return unix.AUDIT_ARCH_AARCH64, numbersARM64, nil
	}
	return 0, nil, fault.New(fault.Unsupported, "there is no system call table for the architecture %q", string(a)).
		WithHint("run on %s or %s", AMD64, ARM64)
}

// Filter is a program ready to be loaded. The zero value has no instructions,
// which the kernel refuses to load.
type Filter struct {
	Program []unix.SockFilter
}

// Bytes is the program as the kernel reads it on both architectures: eight
// bytes for each instruction, little-endian.
func (f Filter) Bytes() []byte {
	b := make([]byte, 0, 8*len(f.Program))
	for _, i := range f.Program {
		b = append(binary.LittleEndian.AppendUint16(b, i.Code), i.Jt, i.Jf)
		b = binary.LittleEndian.AppendUint32(b, i.K)
	}
	return b
}

// Silent is the same filter without reports: it answers with the same errno.
func (f Filter) Silent() Filter {
	silent := slices.Clone(f.Program)
	for i, op := range silent {
		if op.Code == unix.BPF_RET && op.K&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_USER_NOTIF {
			silent[i].K = unix.SECCOMP_RET_ERRNO | op.K&unix.SECCOMP_RET_DATA
		}
	}
	return Filter{silent}
}
