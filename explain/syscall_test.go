package explain_test

import (
	"strings"
	"testing"

	"nacre"
	"nacre/explain"
	"nacre/seccomp"
)

func TestSyscall(t *testing.T) {
	for _, c := range []struct {
		options seccomp.Options
		name    string
		effect  nacre.Effect
		rule    string
		reason  string // a part of it
		remedy  string
	}{
		{seccomp.Options{Arch: seccomp.AMD64}, "read", nacre.Allow, "syscalls.base.read", "plain input", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "mount", nacre.Deny, "syscalls.base.mount", "changes what the sandbox sees", "syscalls: [nested-sandbox]"},
		{seccomp.Options{Arch: seccomp.AMD64, Groups: []string{"nested-sandbox"}}, "mount", nacre.Allow, "syscalls.nested-sandbox.mount", "inner root", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "clone", nacre.Allow, "syscalls.base.clone", "without CLONE_NEW", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "clone3", nacre.Deny, "syscalls.base.clone3", "behind a pointer", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "bpf", nacre.Deny, "syscalls.base.bpf", "exploits", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "ptrace", nacre.Deny, "syscalls.base.ptrace", "other processes", "syscalls: [debug]"},
		{seccomp.Options{Arch: seccomp.AMD64}, "open", nacre.Allow, "syscalls.base.open", "setuid", ""},
		{seccomp.Options{Arch: seccomp.ARM64}, "open", nacre.Deny, "syscalls.base", "no such system call on arm64", ""},
		{seccomp.Options{Arch: seccomp.ARM64, Loopback: true}, "socket", nacre.Allow, "syscalls.base.socket", "AF_INET6", ""},
		{seccomp.Options{Arch: seccomp.ARM64}, "socket", nacre.Allow, "syscalls.base.socket", "no network at all", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "frobnicate", nacre.Deny, "syscalls.base", "no such system call", ""},
		{seccomp.Options{Arch: seccomp.AMD64}, "", nacre.Deny, "syscalls.base", "no such system call", ""},
	} {
		d, err := explain.Syscall(c.options, c.name)
		if err != nil || d.Effect != c.effect || d.Rule != c.rule || !strings.Contains(d.Reason, c.reason) || d.Remedy != c.remedy ||
			d.Capability != nacre.CapSyscalls || d.Subject != c.name || d.Origin.File != nacre.OriginBuiltIn {
			t.Errorf("%v %s: %s remedy=%q", c.options, c.name, d, d.Remedy)
		}
	}
}
