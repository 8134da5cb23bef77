package sandbox

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Mount is a mount as a process sees it.
type Mount struct {
	Path    string
	Options []string
	Type    string
	Shared  bool // or a slave: what is mounted there elsewhere appears here
}

// Pseudo tells whether it shows the kernel's own, or is an automount that would
// trigger.
func (m Mount) Pseudo() bool {
	return !slices.Contains(ordinary, m.Type) && !strings.HasPrefix(m.Type, "fuse.")
}

// ordinary are file systems of files. Anything else under a granted folder is
// refused, so a new kind of pseudo file system is too.
var ordinary = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "tmpfs", "overlay", "squashfs", "erofs",
	"iso9660", "udf", "vfat", "exfat", "ntfs", "ntfs3", "hfsplus", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs",
	"ceph", "fuse", "fuseblk", "ecryptfs", "reiserfs", "jfs", "nilfs2",
}

// Mounts reads a file in the form of proc_pid_mountinfo(5). Of several mounts at
// one place the last is on top.
func Mounts(file string) (list []Mount, err error) {
	b, err := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		before, after, _ := strings.Cut(line, " - ")
		f, kind := strings.Split(before, " "), strings.Split(after, " ") // other white space may be in a name as it is
		if len(f) < 6 || slices.Contains(f, "") || kind[0] == "" {
			return nil, fmt.Errorf("%s: unreadable line: %s", file, line)
		}
		shared := strings.Contains(before, " shared:") || strings.Contains(before, " master:") // optional fields; paths have no spaces
		list = append(list, Mount{unescape.Replace(f[4]), strings.Split(f[5], ","), kind[0], shared})
	}
	return list, err
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#")

// MountsOf lists, of all mounts, the one that a folder lies on and those beneath
// it.
func MountsOf(all []Mount, folder string) (list []Mount) {
	var holds Mount // the last of the longest
	for _, m := range all {
		switch {
		case m.Path != folder && within(m.Path, folder):
			list = append(list, m)
		case within(folder, m.Path) && len(m.Path) >= len(holds.Path):
			holds = m
		}
	}
	return append(list, holds)
}

// within tells whether a path is a folder or lies beneath it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, strings.TrimSuffix(folder, "/")+"/")
}
