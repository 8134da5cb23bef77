package explain_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/explain"
	"nacre/seccomp"
	"nacre/seccomp/replay"
)

func refusals(t *testing.T, o seccomp.Options) (*explain.Refusals, *seccomp.Table) {
	t.Helper()
	table, err := seccomp.NewTable(o)
	if err != nil {
		t.Fatal(err)
	}
	return explain.NewRefusals(o), table
}

func permits(o seccomp.Options, t *seccomp.Table, number uint32, args [6]uint64) bool {
	permit, _ := replay.Judge(t.Filter(), string(o.Arch), number, args)
	return permit
}

// TestRefusalsAgree: what a run ends with is what nacre explain says, for every
// call that is refused whatever its arguments.
func TestRefusalsAgree(t *testing.T) {
	for _, o := range []seccomp.Options{{Arch: seccomp.AMD64, Loopback: true}, {Arch: seccomp.ARM64}, {Arch: seccomp.AMD64, Groups: []string{"debug"}}} {
		r, table := refusals(t, o)
		seen := 0
		for number := range uint32(600) {
			name := table.Name(number)
			if name == "" || permits(o, table, number, [6]uint64{}) {
				continue
			}
			want, err := explain.Syscall(o, name)
			if err != nil || want.Effect == nacre.Allow {
				continue
			}
			seen++
			if got := r.Of(number, [6]uint64{}); got != want {
				t.Errorf("%v %s: %+v, explain says %+v", o, name, got, want)
			}
		}
		if seen < 50 {
			t.Errorf("%v: only %d calls compared", o, seen)
		}
	}
}

// TestRefusalsOfArguments: the line is the one that allows this very call.
func TestRefusalsOfArguments(t *testing.T) {
	const personality, socket, prctl = 135, 41, 157 // amd64's
	for _, c := range []struct {
		name   string
		o      seccomp.Options
		number uint32
		args   [6]uint64
		call   string
		remedy string
	}{
		{"no randomisation", seccomp.Options{Arch: seccomp.AMD64}, personality, [6]uint64{0x40000}, "personality", "syscalls: [debug]"},
		{"another personality", seccomp.Options{Arch: seccomp.AMD64}, personality, [6]uint64{8}, "personality", ""},
		{"no loopback", seccomp.Options{Arch: seccomp.AMD64}, socket, [6]uint64{unix.AF_INET, unix.SOCK_STREAM}, "socket", "loopback: true"},
		{"a rare family", seccomp.Options{Arch: seccomp.AMD64}, socket, [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, "socket", ""},
		{"a tracer", seccomp.Options{Arch: seccomp.AMD64, Loopback: true}, prctl, [6]uint64{unix.PR_SET_PTRACER}, "prctl", "syscalls: [debug]"},
		{"x32", seccomp.Options{Arch: seccomp.AMD64}, explain.X32 | 39, [6]uint64{}, "x32", ""},
		{"the last number", seccomp.Options{Arch: seccomp.AMD64}, ^uint32(0), [6]uint64{}, "x32", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, table := refusals(t, c.o)
			d := r.Of(c.number, c.args)
			if permits(c.o, table, c.number, c.args) || d.Subject != c.call || d.Remedy != c.remedy || d.Effect != nacre.Deny || d.Reason == "" || d.Rule == "" {
				t.Errorf("%+v", d)
			}
		})
	}
}
