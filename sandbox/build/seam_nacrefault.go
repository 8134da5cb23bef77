//go:build nacrefault

package build

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// chosen is the layer to break.
var chosen string

// marker precedes its name, in the blueprint's folders.
const marker = "/nacrefault:"

// skipped are parts of steps that are left out.
func skipped() []string {
	return map[string][]string{
		"namespace cgroup": {"cgroup namespace"},
		"namespace time":   {"time namespace"},
		"namespace uts":    {"hostname", "domain name"}, // the namespace itself is missing
		"session keyring":  {"session keyring"},
		"hostname":         {"hostname"},
		"securebits":       {"securebits"},
		"bounding set":     {"bounding set"},
		"ambient set":      {"ambient set", "capset"},
		"no_new_privs":     {"no_new_privs"},
		"root writable":    {"/ read-only"},
		"dev writable":     {"/dev read-only"},
		"proc writable":    {"/proc read-only"},
		"namespace net":    {"loopback"},
		"loopback down":    {"loopback"},
		"seccomp off":      {"seccomp"},
	}[chosen]
}

func (s step) take() error {
	switch {
	case slices.Contains(skipped(), s.name):
		return nil
	case s.name == "capset" && chosen == "inheritable set":
		return capabilities(unix.CapUserData{Inheritable: 1 << unix.CAP_SETUID, Permitted: 1 << unix.CAP_SETUID})
	case s.name == "capset" && chosen == "no_new_privs": // Landlock and seccomp want one or the other
		return capabilities(unix.CapUserData{Permitted: 1 << unix.CAP_SYS_ADMIN, Effective: 1 << unix.CAP_SYS_ADMIN})
	}
	return s.do()
}

func capabilities(c unix.CapUserData) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{c}
	return unix.Capset(&header, &data[0])
}

func (b *builder) take(s step) error {
	if s.name == "blueprint" {
		return b.instructed(s)
	}
	name := s.name
	if name == "landlock" && b.ruleset == 0 {
		name = "new " + name
	}
	if broken, ok := b.breaches()[chosen]; ok && broken.step == name {
		if err := broken.do(); err != nil || broken.instead {
			return err
		}
	}
	return s.take()
}

// instructed takes the name of the layer out of the blueprint.
func (b *builder) instructed(s step) error {
	err := s.do()
	for i, e := range b.spec.Entries {
		if name, ok := strings.CutPrefix(e.Path, marker); ok {
			chosen = name
			b.stage2[0] = "nacre-init:" + name
			b.spec.Entries = slices.Delete(b.spec.Entries, i, i+1)
			break
		}
	}
	return err
}

// breach is what is done before a step, or instead of it.
type breach struct {
	step    string
	do      func() error
	instead bool
}

func (b *builder) breaches() map[string]breach {
	list := map[string]breach{
		"no user namespaces": {"bounds", b.leaveNamespaces, true},
		"loopback up":        {"loopback", func() error { b.spec.Loopback = true; return nil }, false},
		"oom score":          {"identity", func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("900"), 0) }, false},
		"environment":        {"exec", b.becomeWith, true},
		"namespace pid":      {"mounts", b.foreignProc, true},
	}
	b.breakMounts(list)
	b.breakFilters(list)
	for name, open := range map[string]func() (int, error){
		"descriptor file":   func() (int, error) { return unix.Open("/etc/passwd", unix.O_RDONLY, 0) },
		"descriptor folder": func() (int, error) { return unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY, 0) },
		"descriptor socket": func() (int, error) { return unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0) },
		"descriptor timer":  func() (int, error) { return unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0) },
	} {
		list[name] = breach{"seccomp", func() error { _, err := open(); return err }, false}
	}
	for name, resource := range map[string]int{
		"open files": unix.RLIMIT_NOFILE, "processes": unix.RLIMIT_NPROC, "core": unix.RLIMIT_CORE,
		"memlock": unix.RLIMIT_MEMLOCK, "pending signals": unix.RLIMIT_SIGPENDING, "message queues": unix.RLIMIT_MSGQUEUE,
	} {
		list["limit of "+name] = breach{"limits", func() error { return b.lower(resource) }, false}
	}
	return list
}

// lower halves a limit, or leaves a zero one out.
func (b *builder) lower(resource int) error {
	i := slices.IndexFunc(b.spec.Limits, func(l blueprint.Rlimit) bool { return l.Resource == resource })
	if b.spec.Limits[i].Value /= 2; resource == unix.RLIMIT_MSGQUEUE {
		b.spec.Limits = slices.Delete(b.spec.Limits, i, i+1)
	}
	return nil
}

// leaveNamespaces does the step as if nested sandboxes were granted.
func (b *builder) leaveNamespaces() error {
	b.spec.Nested = true
	return b.bounds()
}

// foreignProc takes the host's /proc: without a pid namespace there is no new
// one.
func (b *builder) foreignProc() error {
	i := slices.IndexFunc(b.spec.Entries, func(e blueprint.Entry) bool { return e.Path == "/proc" })
	b.spec.Entries[i].Form = ""
	err := b.collect()
	b.spec.Entries[i].Form = blueprint.System
	if err == nil {
		b.mounts[i], err = unix.OpenTree(unix.AT_FDCWD, "/proc", cloneTree|unix.AT_RECURSIVE)
	}
	return err
}

// becomeWith is become, with a variable.
func (b *builder) becomeWith() error {
	if _, err := unix.FcntlInt(blueprint.ControlFD, unix.F_SETFD, 0); err != nil {
		return err
	}
	argv, _ := syscall.SlicePtrFromStrings(b.stage2)
	envp, _ := syscall.SlicePtrFromStrings([]string{"SECRET=of the owner"})
	empty := []byte{0}
	_, _, e := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(b.self), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return e
}
