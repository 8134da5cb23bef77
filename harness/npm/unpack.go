package npm

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// unpack puts an archive's files below a place. Its folders' first is left out, as
// npm does; it holds files and folders and nothing else.
func (f *Fetcher) unpack(archive io.Reader, place string) error {
	z, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	defer z.Close()
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := inside(h.Name)
		if err != nil {
			return err
		}
		if err := f.budget.take(h.Size); err != nil {
			return err
		}
		if name == "" {
			continue
		}
		if whose := owner(f.places, path.Join(place, name)); whose != place && h.Typeflag != tar.TypeDir {
			return fmt.Errorf("its archive has %.80q, which belongs to another package, %s", h.Name, whose)
		}
		if err := f.entry(h, t, path.Join(place, name)); err != nil {
			return err
		}
	}
}

// owner is the place of the package that a file belongs to: the innermost one. What
// is itself a place belongs to that package too.
func owner(places map[string]bool, name string) string {
	for ; name != "."; name = path.Dir(name) {
		if places[name] {
			return name
		}
	}
	return ""
}

// inside is an entry's name without its first folder; empty for that itself.
func inside(written string) (string, error) {
	clean := path.Clean(written)
	if strings.ContainsAny(written, "\x00\\") || !fs.ValidPath(clean) || strings.HasPrefix(written, "/") || len(written) > 1024 {
		return "", fmt.Errorf("its archive has an entry %.80q", written)
	}
	_, name, _ := strings.Cut(clean, "/")
	return name, nil
}

// entry keeps a file under a number: names that are masked in granted folders are
// met in packages too.
func (f *Fetcher) entry(h *tar.Header, content io.Reader, name string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeReg:
	default:
		return fmt.Errorf("its archive has %.80q, which is neither a file nor a folder", h.Name)
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	f.mu.Lock()
	f.files++
	number := f.files
	f.index[name] = number // the last one counts
	f.mu.Unlock()
	file, err := f.Folder.OpenFile(numbered(number), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

func numbered(n int) string { return fmt.Sprintf("file-%d", n) }
