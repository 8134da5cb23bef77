package image

import (
	"errors"
	"hash/maphash"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A layer takes away what lower layers brought: ".wh.NAME" removes NAME, and
// ".wh..wh..opq" empties its folder of all that this layer did not bring.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// remove applies a whiteout.
func (u *unpacker) remove(dir, base string) error {
	target := strings.TrimPrefix(base, whiteout)
	if target == "" || target == "." || target == ".." {
		return errors.New("whiteout of no name")
	}
	if base != opaque && strings.HasPrefix(target, whiteout) {
		return nil // bookkeeping of an old union file system
	}
	parent, err := u.parent(dir, false)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	if base == opaque {
		return u.empty(parent, dir)
	}
	return removeAll(parent, target)
}

// empty removes what this layer did not bring. Its depth is bounded by that of
// the folders, which parent bounds.
func (u *unpacker) empty(dir *os.File, name string) error {
	list, err := os.Open(procPath(dir))
	if err != nil {
		return err
	}
	names, err := list.Readdirnames(-1)
	list.Close()
	if err != nil {
		return err
	}
	for _, base := range names {
		full := path.Join(name, base)
		if _, ours := u.seen[u.key(full)]; !ours {
			err = removeAll(dir, base)
		} else if isFolder(dir, base) {
			var sub *os.File
			if sub, err = openFolder(dir, base, full); err == nil {
				err = u.empty(sub, full)
				sub.Close()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark notes that this layer brought the name, and the folders above it.
func (u *unpacker) mark(name string) {
	for ; name != "." && name != "/"; name = path.Dir(name) {
		key := u.key(name)
		if _, known := u.seen[key]; known {
			return
		}
		u.seen[key] = struct{}{}
	}
}

func (u *unpacker) key(name string) uint64 { return maphash.String(u.seed, name) }
