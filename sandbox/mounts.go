package sandbox

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a mount of the host's.
type Mount struct {
	Path   string
	Type   string
	Pseudo bool // the kernel's own, or an automount that would trigger
}

// ordinary are file systems of files. Anything else under a granted folder is
// refused, so a new kind of pseudo file system is too.
var ordinary = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "tmpfs", "overlay", "squashfs", "erofs",
	"iso9660", "udf", "vfat", "exfat", "ntfs", "ntfs3", "hfsplus", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs",
	"ceph", "fuse", "fuseblk", "ecryptfs", "reiserfs", "jfs", "nilfs2",
}

// MountsOf lists the mount that a folder lies on, and those beneath it.
func MountsOf(folder string) (list []Mount, err error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var holds Mount // the last of the longest is the one on top
	for line := range strings.Lines(string(b)) {
		before, after, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(kind) < 1 {
			continue
		}
		m := Mount{Path: octal(f[4]), Type: kind[0]}
		m.Pseudo = !slices.Contains(ordinary, m.Type) && !strings.HasPrefix(m.Type, "fuse.")
		switch {
		case m.Path != folder && within(m.Path, folder):
			list = append(list, m)
		case within(folder, m.Path) && len(m.Path) >= len(holds.Path):
			holds = m
		}
	}
	return append(list, holds), nil
}

// within tells whether a path is a folder or lies beneath it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, strings.TrimSuffix(folder, "/")+"/")
}

// octal undoes the escapes of proc_pid_mountinfo(5).
func octal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// LandlockABI is the version of Landlock that the kernel has; an error where it
// has none, or it is switched off.
func LandlockABI() (int, error) {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0, e
	}
	return int(abi), nil
}
