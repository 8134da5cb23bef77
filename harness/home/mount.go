package home

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mount is the number of the mount that a home is on.
type mount uint64

// mountOf is the mount that a file is on; a link is not followed.
func mountOf(path string) (mount, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st)
	if err == nil && st.Mask&unix.STATX_MNT_ID == 0 {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return 0, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	return mount(st.Mnt_id), nil
}

// other tells whether a file is on another mount; of one that is not there, the
// folder says it.
func (m mount) other(path string) (bool, error) {
	for {
		at, err := mountOf(path)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) || path == filepath.Dir(path) {
			return err == nil && at != m, err
		}
		path = filepath.Dir(path)
	}
}
