package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
)

// Mode is how a machine's control groups are mounted. The zero value is none.
type Mode string

// The modes.
const (
	None   Mode = ""
	V1     Mode = "v1"
	Hybrid Mode = "hybrid" // limits from v1; membership and kill from a v2 tree beside it
	V2     Mode = "v2"
)

const (
	root    = "/sys/fs/cgroup"
	unified = root + "/unified"
	tree2   = "" // the v2 tree's name among the controllers, as in /proc/self/cgroup
)

// needed are the controllers without which there are no limits.
var needed = [...]string{"memory", "pids", "cpu"}

// Layout is what this machine has to offer.
type Layout struct {
	Mode Mode
	// Base is, for each controller that can be used, the folder under which a
	// group would be made (with a Manager: the one that it delegates from).
	// The empty name is the v2 tree.
	Base map[string]string
	// Manager holds the addresses of the systemd to ask for a scope, best
	// first. Empty: groups are made directly.
	Manager []string
	home    string // this process's own folder in a v2-only tree
}

// Detect looks at this machine, as the calling user may use it.
func Detect() Layout {
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return Layout{}
	}
	if isType(root, unix.CGROUP2_SUPER_MAGIC) {
		return detect2(own[tree2])
	}
	l := Layout{Base: map[string]string{}}
	wanted := append([]string{"cpuacct"}, needed[:]...)
	if isType(unified, unix.CGROUP2_SUPER_MAGIC) {
		l.Base[tree2] = filepath.Join(unified, outside(own[tree2]))
		wanted = wanted[1:] // the v2 tree counts processor time by itself
	}
	for _, c := range wanted {
		if mnt, top, err := cgroups.FindCgroupMountpointAndRoot(root, c); err == nil {
			if rel, err := filepath.Rel(top, outside(own[c])); err == nil {
				l.Base[c], l.Mode = filepath.Join(mnt, rel), V1
			}
		}
	}
	if _, both := l.Base[tree2]; both && l.Mode == V1 {
		l.Mode = Hybrid
	}
	return l
}

// detect2 is Detect where there is only v2. Nothing is made inside somebody's
// session: a systemd is asked, and where there is none the group goes on top.
func detect2(own string) Layout {
	l := Layout{Mode: V2, Base: map[string]string{}, home: filepath.Join(root, outside(own))}
	base, run, bus := root, "/run/systemd/private", "/run/dbus/system_bus_socket"
	if uid := os.Geteuid(); uid != 0 {
		base = fmt.Sprintf("%s/user.slice/user-%d.slice/user@%d.service", root, uid, uid)
		run, bus = fmt.Sprintf("/run/user/%d/systemd/private", uid), fmt.Sprintf("/run/user/%d/bus", uid)
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		for _, p := range []string{run, bus} {
			if _, err := os.Stat(p); err == nil {
				l.Manager = append(l.Manager, "unix:path="+p)
			}
		}
	}
	list, err := cgroups.ReadFile(base, "cgroup.controllers")
	if err != nil {
		return l
	}
	for _, c := range strings.Fields(list) {
		l.Base[c] = base
	}
	l.Base[tree2] = base
	return l
}

// outside cuts a group of ours off a path, so that groups never nest.
func outside(path string) string {
	before, _, _ := strings.Cut(path, "/nacre-")
	return "/" + strings.TrimPrefix(before, "/")
}

func isType(path string, magic int64) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && int64(st.Type) == magic
}

// Problem is nil where limits can be had, else the fault that New returns.
func (l Layout) Problem() error {
	if l.Mode == None {
		return unsupported(nil, "no control groups are mounted on "+root, "mount them (mount -t cgroup2 cgroup2 "+root+")")
	}
	if l.Mode == V2 && len(l.Manager) == 0 && os.Geteuid() != 0 {
		return unsupported(nil, "there is no systemd user manager to delegate a control group",
			fmt.Sprintf("log in through PAM or run: loginctl enable-linger %d", os.Geteuid()))
	}
	for _, c := range needed {
		switch dir, ok := l.Base[c]; {
		case !ok && l.Mode == V2 && os.Geteuid() != 0:
			return unsupported(nil, "systemd does not delegate the "+c+" controller to users",
				"put [Service] Delegate=cpu io memory pids into /etc/systemd/system/user@.service.d/delegate.conf and log in again")
		case !ok:
			return unsupported(nil, "the kernel offers no "+c+" controller here", "boot with cgroup_enable="+c)
		case len(l.Manager) > 0: // it makes the folder for us
		case unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) != nil:
			remedy := "run as root, or boot with systemd.unified_cgroup_hierarchy=1 so that systemd can delegate one"
			if os.Geteuid() == 0 {
				remedy = "mount it writable; a container must be started so"
			}
			return unsupported(nil, "no control group can be made in "+dir, remedy)
		}
	}
	return nil
}

// Checks is the layout as the doctor shows it.
func (l Layout) Checks() []nacre.Check {
	var have []string
	for c := range l.Base {
		if c != tree2 {
			have = append(have, c)
		}
	}
	slices.Sort(have)
	how := "made directly"
	if len(l.Manager) > 0 {
		how = "delegated by systemd at " + l.Manager[0]
	}
	c := nacre.Check{Name: "resource limits", OK: true,
		Found: fmt.Sprintf("control groups %s with %s, %s", l.Mode, strings.Join(have, " "), how)}
	if err := l.Problem(); err != nil {
		c.OK, c.Found, c.Remedy, c.Tier = false, err.Error(), fault.HintOf(err), nacre.TierWatchdog
	}
	return []nacre.Check{c}
}

func unsupported(cause error, reason, remedy string) *fault.Fault {
	return fault.Wrap(fault.Unsupported, cause, "resource limits cannot be enforced: %s", reason).
		WithHint("%s; or accept the tier %s in the policy", remedy, nacre.TierWatchdog)
}
