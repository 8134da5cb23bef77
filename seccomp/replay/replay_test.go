package replay

import (
	"testing"

	"golang.org/x/sys/unix"
)

func op(code int, k uint32) unix.SockFilter { return unix.SockFilter{Code: uint16(code), K: k} }

// TestNothingIsPermittedByMistake: a program that is not understood, or leads
// out of itself, permits nothing.
func TestNothingIsPermittedByMistake(t *testing.T) {
	permit := op(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	for name, c := range map[string]struct {
		program []unix.SockFilter
		want    bool
	}{
		"permit":           {[]unix.SockFilter{permit}, true},
		"nothing":          {nil, false},
		"unknown":          {[]unix.SockFilter{op(unix.BPF_ST, 0), permit}, false},
		"past the end":     {[]unix.SockFilter{op(unix.BPF_JMP|unix.BPF_JA, 7), permit}, false},
		"no such word":     {[]unix.SockFilter{op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 64), permit}, false},
		"crooked word":     {[]unix.SockFilter{op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 2), permit}, false},
		"of the program's": {[]unix.SockFilter{op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 8), permit}, false},
		"to a supervisor":  {[]unix.SockFilter{op(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_USER_NOTIF|uint32(unix.EINVAL))}, false},
	} {
		permit, errno := Judge(c.program, "amd64", 0, [6]uint64{})
		if permit != c.want || name == "to a supervisor" && errno != unix.EINVAL {
			t.Errorf("%s: %v, %v", name, permit, errno)
		}
	}
}
