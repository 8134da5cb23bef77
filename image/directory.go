package image

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// CheckDirectory opens the folder of an image of kind directory and checks
// that it can serve as a root file system: that the path has no symlink in it,
// that the folder belongs to the caller or root and nobody else can replace
// what is in it, and that programs are there. The caller mounts the descriptor
// returned, which is what was checked, and closes it.
func CheckDirectory(path string) (*os.File, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) == "/" {
		return nil, fault.New(fault.Invalid, "image %q: not the absolute path of a root file system", path).
			WithHint("write the folder's whole path; for this machine's own programs use image: host")
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fault.New(fault.Invalid, "image %q: a symlink is part of the path", path).
			WithHint("write the real path; `realpath` prints it")
	case err != nil:
		return nil, fault.Wrap(openKind(err), err, "image %q", path).
			WithHint("a folder with a root file system is wanted, such as debootstrap makes")
	}
	dir := os.NewFile(uintptr(fd), path)
	if err := checkRoot(dir); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// checkRoot checks an open folder.
func checkRoot(dir *os.File) error {
	info, err := dir.Stat()
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "image %q", dir.Name())
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	if uid != 0 && uid != os.Geteuid() {
		return fault.New(fault.Denied, "image %q: it belongs to another user (%d)", dir.Name(), uid).
			WithHint("copy it to a folder of your own")
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fault.New(fault.Denied, "image %q: others may write to it", dir.Name()).
			WithHint("chmod go-w %s", dir.Name())
	}
	if info.Mode().Perm()&0o005 != 0o005 {
		return fault.New(fault.Invalid, "image %q: an agent with an identity of its own could not enter it", dir.Name()).
			WithHint("chmod go+rx %s", dir.Name())
	}
	if !isFolder(dir, "usr") && !isFolder(dir, "bin") {
		return fault.New(fault.Invalid, "image %q: neither usr nor bin is a folder in it", dir.Name()).
			WithHint("a folder with a root file system is wanted, such as debootstrap makes")
	}
	return nil
}
