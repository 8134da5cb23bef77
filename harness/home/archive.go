package home

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const archive = "home.tar"

// restore unpacks a home that was kept; none is there the first time.
func restore(from, home string) error {
	f, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer root.Close()
	m, err := mountOf(home)
	if err != nil {
		return err
	}
	for t := tar.NewReader(f); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = m.entry(root, h, t)
		}
		if err != nil {
			return err
		}
	}
}

// entry unpacks one entry. What is mounted in the home, and the folders that this
// takes, are there before anything that an agent has left, and stay.
func (m mount) entry(root *os.Root, h *tar.Header, content io.Reader) error {
	if other, err := m.other(filepath.Join(root.Name(), h.Name)); other || err != nil {
		return err
	}
	if there, err := root.Lstat(h.Name); err == nil && there.IsDir() && h.Typeflag != tar.TypeDir {
		return nil
	}
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(h.Name, 0o700); err != nil {
			return err
		}
		return root.Chmod(h.Name, mode|0o700)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, h.Name)
	case tar.TypeReg:
	default:
		return nil // nothing else was kept
	}
	f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close(), root.Chtimes(h.Name, h.ModTime, h.ModTime))
}

// keep packs a home: files, folders and links, but nothing that is mounted there, such
// as a skill: that is not the agent's. The archive is replaced when it is whole.
func keep(home, to string) error {
	m, err := mountOf(home)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	t := tar.NewWriter(f)
	err = filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == home {
			return err
		}
		if other, err := m.other(path); err != nil {
			return err
		} else if other && e.IsDir() {
			return fs.SkipDir
		} else if other {
			return nil
		}
		return add(t, home, path)
	})
	if err = errors.Join(err, t.Close(), f.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

// add packs one entry. What vanishes meanwhile, since something still runs, is
// left out.
func add(t *tar.Writer, home, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	} else if !info.IsDir() && !info.Mode().IsRegular() {
		return nil
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	if h.Name, err = filepath.Rel(home, path); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return t.WriteHeader(h)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyN(t, f, h.Size)
	if errors.Is(err, io.EOF) { // it was made shorter: what is lacking is nothing
		_, err = io.CopyN(t, zeros{}, h.Size-n)
	}
	return err
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
