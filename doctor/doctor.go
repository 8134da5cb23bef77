// Package doctor looks at what the native engine needs and what this machine
// has. It changes nothing and decides nothing: the engine refuses by itself.
package doctor

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/install"
	"nacre/sandbox/cgroup"
	"nacre/sandbox/layer"
)

// Check is one requirement of an engine, as found on this machine.
type Check struct {
	Name     string     `json:"name"`
	OK       bool       `json:"ok"`
	Found    string     `json:"found"`
	Remedy   string     `json:"remedy,omitempty"`   // what to do where it is not OK
	Tier     nacre.Tier `json:"tier,omitempty"`     // what could be accepted instead
	Required bool       `json:"required,omitempty"` // without it no run at all, tier or not
}

// Checks lists the requirements of a nacre program, with what was found and the
// remedy.
func Checks(program string) []Check {
	here := machine{os.DirFS("/"), os.Geteuid() == 0, program}
	return []Check{kernel(), here.userNamespaces(), mountAPI(), filters(), reports(), landlockCheck(), identityCheck(),
		limitsCheck(), cores()}
}

func kernel() Check {
	release, ok := atLeast(5, 15)
	return Check{Name: "kernel", Required: true, Found: "Linux " + release, OK: ok, Remedy: "use Linux 5.15 or newer"}
}

// atLeast is this kernel's release, and whether it is no older than a version.
func atLeast(wantMajor, wantMinor int) (release string, ok bool) {
	var u unix.Utsname
	_ = unix.Uname(&u)
	release = unix.ByteSliceToString(u.Release[:])
	var major, minor int
	_, err := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return release, err == nil && (major > wantMajor || major == wantMajor && minor >= wantMinor)
}

// mountAPI asks for the system calls with arguments that cannot succeed.
func mountAPI() Check {
	c := Check{Name: "mounts by descriptor", Required: true, OK: true, Found: "available"}
	err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{})
	_, err2 := unix.Openat2(-1, "", &unix.OpenHow{})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err2, unix.ENOSYS) {
		c.OK, c.Found, c.Remedy = false, "mount_setattr or openat2 is missing", "use Linux 5.15 or newer; inside a container, allow them"
	}
	return c
}

const actions = "/proc/sys/kernel/seccomp/actions_avail"

func filters() Check {
	c := Check{Name: "seccomp filters", Required: true, OK: true, Found: "available"}
	b, err := os.ReadFile(actions)
	if err != nil || !strings.Contains(string(b), "errno") {
		c.OK, c.Found, c.Remedy = false, "missing", "use a kernel with CONFIG_SECCOMP_FILTER"
	}
	return c
}

// reports tells whether denied system calls can be told by name. Nothing is
// less denied where they cannot, so that this is never a fault.
func reports() Check {
	c := Check{Name: "denied calls by name", OK: true, Found: "reported"}
	b, _ := os.ReadFile(actions)
	_, quick := atLeast(6, 6)
	switch {
	case !strings.Contains(string(b), "user_notif"):
		c.Found = "not reported: this kernel has no seccomp user notification; they are denied all the same"
	case !quick:
		c.Found = "reported; each takes less time from Linux 6.6 on"
	}
	return c
}

func landlockCheck() Check {
	abi, err := layer.LandlockABI()
	switch {
	case err != nil:
		return Check{Name: "Landlock", Found: "missing: " + err.Error(), Tier: nacre.TierNoLandlock,
			Remedy: "boot with landlock among the LSMs: lsm=landlock,…"}
	case abi < 6:
		return Check{Name: "Landlock", Found: fmt.Sprintf("ABI %d", abi), Tier: nacre.TierOldLandlock,
			Remedy: "use Linux 6.12 or newer for ABI 6, which scopes signals and abstract sockets"}
	}
	return Check{Name: "Landlock", OK: true, Found: fmt.Sprintf("ABI %d", abi)}
}

func limitsCheck() Check {
	l := cgroup.Detect()
	c := Check{Name: "resource limits", OK: true, Found: "control groups " + string(l.Mode) + ", made directly"}
	if l.Manager != "" {
		c.Found = "control groups " + string(l.Mode) + ", delegated by systemd at " + l.Manager
	}
	if err := l.Problem(); err != nil {
		c.OK, c.Found, c.Remedy, c.Tier = false, err.Error(), fault.HintOf(err), nacre.TierWatchdog
	}
	return c
}

// cores tells whether crashes inside can be kept from a program that the kernel
// starts for them: it takes a limit of 1, which a hard limit of 0 forbids. Nothing
// keeps them from a socket.
func cores() Check {
	c := Check{Name: "core dumps", Required: true, OK: true, Found: "none"}
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &own) == nil && own.Max == 0 && (err != nil || strings.HasPrefix(string(pattern), "|")) {
		c.OK, c.Found = false, "your hard limit of core dumps is 0, under which the kernel starts its program for crashes (kernel.core_pattern) all the same"
		c.Remedy = "let the hard limit be 1 or more (ulimit -Hc, /etc/security/limits.conf); 1 stands for none"
	}
	if err != nil || strings.HasPrefix(string(pattern), "@") { // fs/coredump.c: no limit is asked there
		c.Required, c.OK, c.Tier = false, false, nacre.TierCoreSocket
		c.Found = "the kernel hands crashes in sandboxes, with all of their memory, to a socket of the host's (kernel.core_pattern), whatever limit they have"
		c.Remedy = "as an administrator: sysctl kernel.core_pattern=core, or a program (|/PATH)"
	}
	return c
}

func identityCheck() Check {
	c := Check{Name: "identity of its own", OK: true, Found: "a user id for each sandbox"}
	if os.Geteuid() == 0 {
		return c
	}
	first, count, _, err := install.Subordinate()
	if err != nil {
		c.OK, c.Found, c.Tier = false, err.Error(), nacre.TierOwnerUID
		c.Remedy = "install uidmap and give the user a range in /etc/subuid and /etc/subgid"
		return c
	}
	c.Found = fmt.Sprintf("%d subordinate ids from %d", count, first)
	return c
}
