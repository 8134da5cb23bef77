package image

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Raw system calls of this package are in this file and unpack.go: every one
// takes a folder's descriptor and, but for resolve, a single name.

// maxRetries bounds openat2's EAGAIN, which it gives when something on the
// machine was renamed while it walked a "..".
const maxRetries = 10_000

// resolve opens a folder as if root were the root of all: absolute links and
// ".." in links stay within, by the kernel's doing.
func resolve(root *os.File, dir string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for range maxRetries {
		fd, err := unix.Openat2(int(root.Fd()), dir, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path.Join(root.Name(), dir)), nil
		case unix.EAGAIN, unix.EINTR:
			continue
		default:
			return nil, err
		}
	}
	return nil, unix.EAGAIN
}

// parent opens the folder that an entry goes into, making it where create is
// set. The folder's real depth is bounded: links could otherwise stack folders
// so deep that nobody can remove them.
func (u *unpacker) parent(dir string, create bool) (*os.File, error) {
	if dir == "" {
		dir = "."
	}
	file, err := resolve(u.root, dir)
	if errors.Is(err, unix.ENOENT) && create && dir != "." {
		if err = u.makeParent(dir); err == nil {
			file, err = resolve(u.root, dir)
		}
	}
	if err != nil {
		return nil, err
	}
	real, err := os.Readlink(procPath(file))
	if err == nil && real != u.real && !strings.HasPrefix(real, u.real+"/") {
		err = fault.New(fault.Internal, "image: %q is outside %q", real, u.real)
	}
	if err == nil && len(real)-len(u.real) > u.budget.limits.MaxPath {
		err = unix.ENAMETOOLONG
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// makeParent makes a folder that the layer uses without having listed it.
func (u *unpacker) makeParent(dir string) error {
	above, base := path.Split(dir)
	parent, err := u.parent(strings.TrimSuffix(above, "/"), true)
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := u.charge(0); err != nil {
		return err
	}
	err = unix.Mkdirat(int(parent.Fd()), base, 0o755)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%q is a link to nothing: %w", base, err)
	}
	if err != nil {
		return err
	}
	return chmodFolder(parent, base, 0o755)
}

// chmodFolder sets a folder's mode whatever the umask is.
func chmodFolder(parent *os.File, base string, mode uint32) error {
	fd, err := unix.Openat(int(parent.Fd()), base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, mode)
}

// removeAll removes an entry and all beneath it, following no link.
func removeAll(parent *os.File, base string) error {
	err := unix.Unlinkat(int(parent.Fd()), base, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	root, err := os.OpenRoot(procPath(parent))
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(base)
}

// isFolder tells whether the name is a folder, not a link to one.
func isFolder(parent *os.File, base string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(int(parent.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// openFolder opens a folder beneath another for reading; name is for errors.
func openFolder(parent *os.File, base, name string) (*os.File, error) {
	fd, err := unix.Openat(int(parent.Fd()), base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "image: %q", name)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// procPath names an open descriptor; it works for O_PATH ones too.
func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
