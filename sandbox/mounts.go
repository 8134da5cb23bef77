package sandbox

import (
	"os"
	"slices"
	"strconv"
	"strings"
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

// MountsBeneath lists what is mounted at or under a folder.
func MountsBeneath(folder string) (list []Mount, err error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		before, after, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(kind) < 1 {
			continue
		}
		point := octal(f[4])
		if point != folder && !strings.HasPrefix(point, strings.TrimSuffix(folder, "/")+"/") {
			continue
		}
		pseudo := !slices.Contains(ordinary, kind[0]) && !strings.HasPrefix(kind[0], "fuse.")
		list = append(list, Mount{Path: point, Type: kind[0], Pseudo: pseudo})
	}
	return list, nil
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
