package skill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Folder is a folder of the host, in which no symbolic link is followed and
// nothing that is no file is waited for: somebody else may be changing it.
type Folder struct{ dir *os.File }

// Beneath opens a folder; the path's last step is no symbolic link.
func Beneath(folder string) (*Folder, error) {
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fault.New(fault.NotFound, "%s: there is no such folder", folder)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "%s: expected a folder", folder)
	}
	return &Folder{os.NewFile(uintptr(fd), folder)}, nil
}

// Open opens a file or folder beneath.
func (b *Folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(int(b.dir.Fd()), name, &how)
		switch {
		case err == nil: // by a name that listing it works with, wherever it is moved
			return os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd)), nil
		case !errors.Is(err, unix.EINTR):
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// Close closes the folder.
func (b *Folder) Close() error { return b.dir.Close() }
