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
	// group would be made. The empty name is the v2 tree.
	Base map[string]string
	// Manager is the socket of the systemd to ask for a scope. Empty: groups
	// are made directly.
	Manager string
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
// The slice is the one that systemd itself would choose, but said aloud, so
// that the scope's folder is known before there is one.
func detect2(own string) Layout {
	l := Layout{Mode: V2, Base: map[string]string{}, home: filepath.Join(root, outside(own))}
	base, slice, sockets := root, "system.slice", []string{"/run/systemd/private", "/run/dbus/system_bus_socket"}
	if uid := os.Geteuid(); uid != 0 {
		base, slice = fmt.Sprintf("%s/user.slice/user-%d.slice/user@%d.service", root, uid, uid), "app.slice"
		run := fmt.Sprintf("/run/user/%d", uid)
		sockets = []string{run + "/systemd/private", run + "/bus"}
	}
	list, _ := cgroups.ReadFile(base, "cgroup.controllers") // what cannot be read offers none
	i := slices.IndexFunc(sockets, exists)
	if i >= 0 && exists("/run/systemd/system") {
		l.Manager, base = sockets[i], filepath.Join(base, slice)
	}
	for _, c := range append(strings.Fields(list), tree2) {
		l.Base[c] = base
	}
	return l
}

// folder is where the group of a sandbox is in a controller's tree.
func (l Layout) folder(controller, id string) string {
	if l.Manager != "" {
		return filepath.Join(l.Base[controller], "nacre-"+id+".scope", "nacre-"+id)
	}
	return filepath.Join(l.Base[controller], "nacre-"+id)
}

func (l Layout) planned(id string) State {
	s := State{ID: id}
	for c := range l.Base {
		s.Folders = append(s.Folders, l.folder(c, id))
	}
	slices.Sort(s.Folders)
	s.Folders = slices.Compact(s.Folders)
	return s
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

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Problem is nil where limits can be had, else the fault that New returns.
func (l Layout) Problem() error {
	plain := os.Geteuid() != 0
	if l.Mode == None {
		return unsupported(nil, "no control groups are mounted on "+root, "mount them (mount -t cgroup2 cgroup2 "+root+")")
	}
	if l.Mode == V2 && l.Manager == "" && plain {
		return unsupported(nil, "there is no systemd user manager to delegate a control group",
			fmt.Sprintf("log in through PAM or run: loginctl enable-linger %d", os.Geteuid()))
	}
	for _, c := range needed {
		switch dir, ok := l.Base[c]; {
		case !ok && l.Mode == V2 && plain:
			return unsupported(nil, "systemd does not delegate the "+c+" controller to users",
				"put [Service] Delegate=cpu io memory pids into /etc/systemd/system/user@.service.d/delegate.conf and log in again")
		case !ok:
			return unsupported(nil, "the kernel offers no "+c+" controller here", "boot with cgroup_enable="+c)
		case l.Manager != "": // it makes the folder for us
		case unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) != nil:
			return unsupported(nil, "no control group can be made in "+dir,
				"run as root where it is mounted writable, or boot with systemd.unified_cgroup_hierarchy=1 so that systemd can delegate one")
		}
	}
	return nil
}

// Check is the layout as the doctor shows it.
func (l Layout) Check() nacre.Check {
	c := nacre.Check{Name: "resource limits", OK: true, Found: "control groups " + string(l.Mode) + ", made directly"}
	if l.Manager != "" {
		c.Found = "control groups " + string(l.Mode) + ", delegated by systemd at " + l.Manager
	}
	if err := l.Problem(); err != nil {
		c.OK, c.Found, c.Remedy, c.Tier = false, err.Error(), fault.HintOf(err), nacre.TierWatchdog
	}
	return c
}

func unsupported(cause error, reason, remedy string) *fault.Fault {
	return fault.Wrap(fault.Unsupported, cause, "resource limits cannot be enforced: %s", reason).
		WithHint("%s; or accept the tier %s in the policy", remedy, nacre.TierWatchdog)
}
