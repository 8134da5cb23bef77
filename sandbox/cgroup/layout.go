package cgroup

import (
	"fmt"
	"maps"
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
	None Mode = ""
	V1   Mode = "v1" // also where a v2 tree without controllers is beside it (hybrid)
	V2   Mode = "v2"
)

const (
	root  = "/sys/fs/cgroup"
	tree2 = "" // the v2 tree's name among the controllers, as in /proc/self/cgroup
	// freezer is v1's, which is not needed: without it nothing is frozen. All in
	// it is the agent's, so that the group itself is the leaf.
	freezer = "freezer"
)

// needed are the controllers without which there are no limits.
var needed = [...]string{"memory", "pids", "cpu"}

// Layout is what this machine has to offer.
type Layout struct {
	Mode Mode
	// Base is, for each controller's tree, the folder under which a group would
	// be made. On v2 there is one tree for all, with the empty name.
	Base        map[string]string
	Controllers []string // that can be used
	// Manager is the socket of the systemd to ask for a scope. Empty: groups
	// are made directly.
	Manager string
	home    string // this process's own folder in a v2-only tree
}

// Detect looks at this machine, as the calling user may use it.
func Detect() Layout {
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	switch {
	case err != nil:
		return Layout{}
	case cgroups.IsCgroup2UnifiedMode():
		return detect2(own[tree2])
	}
	l := Layout{Base: map[string]string{}}
	for _, c := range append(needed[:], "cpuacct", freezer) {
		if mnt, top, err := cgroups.FindCgroupMountpointAndRoot(root, c); err == nil {
			rel, err := filepath.Rel(top, outside(own[c]))
			if dir := filepath.Join(mnt, rel); err == nil && (c != freezer || writable(dir)) {
				l.Mode, l.Base[c], l.Controllers = V1, dir, append(l.Controllers, c)
			}
		}
	}
	return l
}

// detect2 is Detect where there is only v2. Nothing is made inside somebody's
// session: a systemd is asked, and where there is none the group goes on top.
// The slice is the one that systemd itself would choose, but said aloud, so
// that the scope's folder is known before there is one.
func detect2(own string) Layout {
	l := Layout{Mode: V2, home: filepath.Join(root, outside(own))}
	base, slice, sockets := root, "system.slice", []string{"/run/systemd/private", "/run/dbus/system_bus_socket"}
	if uid := os.Geteuid(); uid != 0 {
		base, slice = fmt.Sprintf("%s/user.slice/user-%d.slice/user@%d.service", root, uid, uid), "app.slice"
		run := fmt.Sprintf("/run/user/%d", uid)
		sockets = []string{run + "/systemd/private", run + "/bus"}
	}
	list, _ := cgroups.ReadFile(base, "cgroup.controllers") // what cannot be read offers none
	i := slices.IndexFunc(sockets, cgroups.PathExists)
	if i >= 0 && cgroups.PathExists("/run/systemd/system") {
		l.Manager, base = sockets[i], filepath.Join(base, slice)
	}
	l.Base, l.Controllers = map[string]string{tree2: base}, strings.Fields(list)
	return l
}

// folder is where the group of a sandbox is in a controller's tree.
func (l Layout) folder(controller, id string) string {
	base := l.Base[controller]
	if l.Mode == V2 {
		base = l.Base[tree2]
	}
	if l.Manager != "" {
		base = filepath.Join(base, "nacre-"+id+".scope")
	}
	return filepath.Join(base, "nacre-"+id)
}

func (l Layout) planned(id string) State {
	var folders []string
	for c := range l.Base {
		folders = append(folders, l.folder(c, id))
	}
	slices.Sort(folders)
	return State{ID: id, Folders: slices.Compact(folders)}
}

// outside cuts a group of ours off a path, so that groups never nest.
func outside(path string) string {
	before, _, _ := strings.Cut(path, "/nacre-")
	return "/" + strings.TrimPrefix(before, "/")
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
		switch {
		case slices.Contains(l.Controllers, c):
		case l.Mode == V2 && plain:
			return unsupported(nil, "systemd does not delegate the "+c+" controller to users",
				"put [Service] Delegate=cpu io memory pids into /etc/systemd/system/user@.service.d/delegate.conf and log in again")
		default:
			return unsupported(nil, "the kernel offers no "+c+" controller here", "boot with cgroup_enable="+c)
		}
	}
	for _, dir := range slices.Sorted(maps.Values(l.Base)) {
		if l.Manager == "" && !writable(dir) { // else it makes the folder for us
			return unsupported(nil, "no control group can be made in "+dir,
				"run as root where it is mounted writable, or boot with systemd.unified_cgroup_hierarchy=1 so that systemd can delegate one")
		}
	}
	return nil
}

func writable(dir string) bool {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) == nil
}

func unsupported(cause error, reason, remedy string) *fault.Fault {
	return fault.Wrap(fault.Unsupported, cause, "resource limits cannot be enforced: %s", reason).
		WithHint("%s; or accept the tier %s in the policy", remedy, nacre.TierWatchdog)
}
