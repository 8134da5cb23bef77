package seccomp

import (
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func native(t *testing.T) *judged {
	return table(t, Options{Arch: Arch(runtime.GOARCH), Loopback: true})
}

// TestKernelRefuses makes the hand-written calls that must be refused, in a
// process under the filter, and compares the kernel's answers. What must be
// permitted is not made: "kill init" is among it.
func TestKernelRefuses(t *testing.T) {
	tb := native(t)
	o := order{Options: tb.options, Do: "probe"}
	var names []string
	var want []unix.Errno
	add := func(name string, nr uint32, args [6]uint64, errno unix.Errno) {
		answer, _, err := run(tb.Filter().Silent(), data{nr, tb.audit, args})
		if err != nil || answer != unix.SECCOMP_RET_ERRNO|uint32(errno) {
			t.Fatalf("%s: not tried, since the filter answers %#x, %v", name, answer, err)
		}
		names, want = append(names, name), append(want, errno)
		o.Calls = append(o.Calls, raw{uintptr(nr), args})
	}
	for _, c := range cases {
		if nr := number(tb, c.call); nr != none && c.errno != 0 {
			add(c.call, nr, c.args, c.errno)
		}
	}
	add("a number without a call", 400, [6]uint64{}, unix.ENOSYS)
	if runtime.GOARCH == "amd64" {
		add("x32 getpid", x32|39, [6]uint64{}, unix.EPERM)
		add("x32 execve", x32|520, [6]uint64{}, unix.EPERM)
	}
	r := o.run(t, t.TempDir())
	var got []unix.Errno
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got) != len(want) {
		t.Fatalf("%d answers, %v; %s", len(got), err, r.err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s %#x: %v, want %v", names[i], o.Calls[i].Args, got[i], want[i])
		}
	}
}

// TestKernelWithoutLoopback makes sockets under the two kinds of plan.
func TestKernelWithoutLoopback(t *testing.T) {
	tb := native(t)
	socket := uintptr(number(tb, "socket"))
	calls := []raw{
		{socket, [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}},
		{socket, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}},
		{socket, [6]uint64{unix.AF_INET, unix.SOCK_STREAM}},
		{socket, [6]uint64{unix.AF_INET, unix.SOCK_DGRAM}},
	}
	for loopback, want := range map[bool]string{true: "[0,0,0,0]\n", false: "[0,0,97,97]\n"} {
		r := order{Options: Options{Loopback: loopback}, Do: "probe", Calls: calls}.run(t, t.TempDir())
		if r.out != want {
			t.Errorf("loopback %v: %s want %s %s", loopback, r.out, want, r.err)
		}
	}
}

// TestKernelHasItOnEveryThread reads the mode of each thread back.
func TestKernelHasItOnEveryThread(t *testing.T) {
	r := order{Do: "threads"}.run(t, t.TempDir())
	lines := strings.Fields(strings.ReplaceAll(r.out, "Seccomp:", ""))
	if len(lines) < 5 || r.status != 0 {
		t.Fatalf("%d threads, status %v: %s", len(lines), r.status, r.err)
	}
	for _, mode := range lines {
		if mode != "2" {
			t.Errorf("a thread has seccomp mode %s", mode)
		}
	}
}

// TestKernelNotifies: a refused call reaches the listener and gets
// the errno of the table; ENOSYS and what is probed for do not.
func TestKernelNotifies(t *testing.T) {
	tb := native(t)
	o := order{Options: Options{Loopback: true}, Notify: true, Do: "notify", Calls: []raw{
		{uintptr(number(tb, "mount")), [6]uint64{}},
		{uintptr(number(tb, "socket")), [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}},
		{uintptr(number(tb, "clone")), [6]uint64{unix.CLONE_NEWUSER}},
	}}
	r := o.run(t, t.TempDir())
	if r.out != "[1,97,1]\n" || r.err != "notified of mount\nnotified of socket\nnotified of clone\n" {
		t.Errorf("answers %q, notices %q", r.out, r.err)
	}
	o.Do, o.Calls = "probe", []raw{{uintptr(number(tb, "clone3")), [6]uint64{}}, {uintptr(number(tb, "mbind")), [6]uint64{}}}
	if r := o.run(t, t.TempDir()); r.out != "[38,1]\n" { // without a listener, what is reported answers ENOSYS
		t.Errorf("clone3 and mbind: %q %s", r.out, r.err)
	}
}

// TestKernelKillsForeignEntry runs a 64-bit program that enters by int 0x80.
// Its code, in the 32-bit numbering: exit(42).
func TestKernelKillsForeignEntry(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs amd64: other architectures have no second way in")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "foreign")
	code := []byte{0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80, 0x0f, 0x0b} // mov eax, 1; mov ebx, 42; int 0x80; ud2
	if err := os.WriteFile(path, tinyProgram(code), 0o755); err != nil {
		t.Fatal(err)
	}
	o := order{Do: "exec", Open: true, Command: []string{path}}
	if r := o.run(t, dir); r.status.ExitStatus() != 42 {
		t.Skipf("needs a kernel with 32-bit entry: without a filter the program ends with %v", r.status)
	}
	o.Open = false
	if r := o.run(t, dir); !r.status.Signaled() || r.status.Signal() != syscall.SIGSYS {
		t.Errorf("ended with %#x %s, not by SIGSYS", r.status, r.err)
	}
}

// tinyProgram is an executable of nothing but this code.
func tinyProgram(code []byte) []byte {
	const base, headers = 0x400000, 64 + 56
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	size := uint64(headers + len(code))
	p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000}
	b, _ := binary.Append(nil, binary.LittleEndian, h)
	b, _ = binary.Append(b, binary.LittleEndian, p)
	return append(b, code...)
}
