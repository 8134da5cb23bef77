//go:build nacrefault

package build

import (
	"errors"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
	"nacre/sandbox/layer"
)

// breakMounts adds the faults of what is mounted.
func (b *builder) breakMounts(list map[string]breach) {
	at := func(name, step string, do func() error) { list[name] = breach{step, do, false} }
	cover := func(e *blueprint.Entry) bool { return e.Form == blueprint.Cover }
	nothing := func(e *blueprint.Entry) { e.Form, e.Path = blueprint.Folder, "/run" }
	masked := func(e *blueprint.Entry) bool { return e.Form == blueprint.Mask && !e.Optional }
	guarded := func(e *blueprint.Entry) bool { return e.Form == blueprint.Guard && !e.Write }
	keys := func(e *blueprint.Entry) bool { return e.Form == blueprint.Mask && e.Path == "/proc/keys" }
	for name, change := range map[string]struct {
		fits   func(*blueprint.Entry) bool
		change func(*blueprint.Entry)
	}{
		"mask of proc":     {keys, nothing},
		"file of proc":     {cover, nothing},
		"mask of a folder": {masked, nothing},
		"guard":            {guarded, nothing},
		"guard writable":   {guarded, func(e *blueprint.Entry) { e.Write = true }},
		"tree missing":     {func(e *blueprint.Entry) bool { return e.Path == "/usr" }, nothing},
	} {
		at(name, "folders and files", func() error { return b.entry(change.fits, change.change) })
	}
	at("proc unmasked", "folders and files", func() error {
		for i := range b.spec.Entries {
			if e := &b.spec.Entries[i]; e.Form == blueprint.Mask && strings.HasPrefix(e.Path, "/proc/") {
				nothing(e)
			}
		}
		return nil
	})
	at("tree writable", "mounts", func() error {
		return b.entry(func(e *blueprint.Entry) bool { return e.Path == "/usr" }, func(e *blueprint.Entry) { e.Write = true })
	})
	at("extra mount", "seal", func() error { return extra("/extra") })
	at("mount on top", "seal", func() error { return extra("/tmp") })
	for name, attr := range map[string]unix.MountAttr{
		"nosuid missing": {Attr_clr: unix.MOUNT_ATTR_NOSUID}, "nodev missing": {Attr_clr: unix.MOUNT_ATTR_NODEV},
		"mount shared": {Propagation: unix.MS_SHARED}, "private place read-only": {Attr_set: unix.MOUNT_ATTR_RDONLY},
	} {
		at(name, "seal", func() error { return unix.MountSetattr(unix.AT_FDCWD, "/tmp", 0, &attr) })
	}
}

// entry changes the first entry that fits.
func (b *builder) entry(fits func(*blueprint.Entry) bool, change func(*blueprint.Entry)) error {
	for i := range b.spec.Entries {
		if e := &b.spec.Entries[i]; fits(e) {
			change(e)
			return nil
		}
	}
	return errors.New("there is no such entry")
}

func extra(at string) error {
	fs, err := newFS("tmpfs", sealed|unix.MOUNT_ATTR_RDONLY, "size=4096")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	return unix.MoveMount(fs, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// breakFilters adds the faults of seccomp and Landlock.
func (b *builder) breakFilters(list map[string]breach) {
	at := func(name, step string, do func() error) { list[name] = breach{step, do, false} }
	at("seccomp of another plan", "seccomp", func() error {
		b.spec.Seccomp = slices.Concat(b.spec.Seccomp, b.spec.Seccomp[len(b.spec.Seccomp)-8:])
		return nil
	})
	at("seccomp twice", "seccomp", func() error {
		allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
		prog := unix.SockFprog{Len: 1, Filter: &allow}
		return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
	})
	at("landlock off", "new landlock", func() error { b.spec.Landlock = 0; return nil })
	at("landlock reads", "capabilities", func() error { return b.allow(blueprint.LandlockProbe, unix.LANDLOCK_ACCESS_FS_READ_FILE) })
	at("landlock writes", "capabilities", func() error { return b.allow("/dev", unix.LANDLOCK_ACCESS_FS_WRITE_FILE) })
	at("landlock without scopes", "capabilities", b.withoutScopes)
}

// withoutScopes makes the ruleset again, weaker.
func (b *builder) withoutScopes() error {
	attr := layer.Handled(5)
	attr.Handled_access_net = 0
	var err error
	if b.ruleset, err = layer.Ruleset(attr); err != nil {
		return err
	}
	return b.landlockRules(attr.Handled_access_fs)
}
