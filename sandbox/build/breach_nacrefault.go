//go:build nacrefault

package build

import (
	"errors"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// breakMounts adds the faults of what is mounted.
func (b *builder) breakMounts(list map[string]breach) {
	p := &b.spec.Proc
	at := func(name, step string, do func() error) { list[name] = breach{step, do, false} }
	at("mask of proc", "proc", func() error {
		p.Masks = slices.DeleteFunc(p.Masks, func(name string) bool { return name == "keys" })
		return nil
	})
	at("file of proc", "proc", func() error { p.Synthetic = p.Synthetic[1:]; return nil })
	at("proc unmasked", "proc", func() error { p.Masks, p.Synthetic = nil, nil; return nil })
	at("proc writable", "proc", func() error { p.ReadOnly = false; return nil })
	at("mask of a folder", "host folders", func() error {
		return b.tree(func(t *blueprint.Tree) bool { return t.Write && len(t.Masks) > 0 }, func(t *blueprint.Tree) { t.Masks = nil })
	})
	at("guard", "host folders", func() error {
		return b.tree(func(t *blueprint.Tree) bool { return t.Write && len(t.Guards) > 0 }, func(t *blueprint.Tree) { t.Guards = nil })
	})
	at("guard writable", "host folders", func() error {
		return b.tree(func(t *blueprint.Tree) bool { return t.Write && len(t.Guards) > 0 },
			func(t *blueprint.Tree) { t.Guards[len(t.Guards)-1].ReadOnly = false })
	})
	at("tree writable", "trees", func() error {
		return b.tree(func(t *blueprint.Tree) bool { return t.Inside == "/usr" }, func(t *blueprint.Tree) { t.Write = true })
	})
	at("tree missing", "host folders", func() error { b.spec.Trees, b.trees = b.spec.Trees[1:], b.trees[1:]; return nil })
	at("extra mount", "seal root", func() error { return extra("/extra") })
	at("mount on top", "seal root", func() error { return extra("/tmp") })
	for name, attr := range map[string]unix.MountAttr{
		"nosuid missing": {Attr_clr: unix.MOUNT_ATTR_NOSUID}, "nodev missing": {Attr_clr: unix.MOUNT_ATTR_NODEV},
		"mount shared": {Propagation: unix.MS_SHARED}, "private place read-only": {Attr_set: unix.MOUNT_ATTR_RDONLY},
	} {
		at(name, "seal root", func() error { return unix.MountSetattr(unix.AT_FDCWD, "/tmp", 0, &attr) })
	}
}

// tree changes the first tree that fits.
func (b *builder) tree(fits func(*blueprint.Tree) bool, change func(*blueprint.Tree)) error {
	for i := range b.spec.Trees {
		if t := &b.spec.Trees[i]; fits(t) {
			change(t)
			return nil
		}
	}
	return errors.New("there is no such tree")
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
	at("landlock off", "new landlock", func() error { b.spec.Landlock.ABI = 0; return nil })
	at("landlock reads", "capabilities", func() error { return b.allow(blueprint.LandlockProbe, unix.LANDLOCK_ACCESS_FS_READ_FILE) })
	at("landlock writes", "capabilities", func() error { return b.allow("/dev", unix.LANDLOCK_ACCESS_FS_WRITE_FILE) })
	at("landlock without scopes", "capabilities", b.withoutScopes)
}

// withoutScopes makes the ruleset again, weaker.
func (b *builder) withoutScopes() error {
	attr := handled(5)
	attr.Handled_access_net = 0
	fd, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), rulesetSize(7), 0)
	if e != 0 {
		return e
	}
	b.ruleset = int(fd)
	return b.landlockRules(attr.Handled_access_fs)
}
