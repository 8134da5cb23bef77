package npm

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"nacre/fault"
)

// The bounds of what the scripts of one package make.
const (
	maxMade      = 256 << 20
	maxMadeFiles = 50_000
)

// Scripted are those packages of a list whose scripts a harness has run, in the
// harness's order.
func Scripted(list []Package, names []string) (scripted []Package, err error) {
	for _, name := range names {
		found := false
		for _, p := range list {
			if p.Name == name {
				scripted, found = append(scripted, p), true
			}
		}
		if !found {
			return nil, fault.New(fault.Invalid, "scripts: no package of the lock file is called %s", name)
		}
	}
	return scripted, nil
}

// Take puts what the scripts of a package made into its folder, outside of the sandbox
// that they ran in. It believes the archive for nothing: it holds plain files of that
// package's own and nothing else, or nothing more of it is taken.
func Take(from io.Reader, layer *os.Root, whose Package, list []Package) error {
	places := map[string]bool{}
	for _, p := range list {
		places[p.Place] = true
	}
	b := budget{bytes: maxMade, entries: maxMadeFiles}
	for t := tar.NewReader(from); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, from) // whoever writes is not to wait
			return err
		}
		if err == nil {
			err = b.take(h.Size)
		}
		if err == nil {
			err = made(h, whose.Place, places)
		}
		if err == nil {
			err = take(t, layer, path.Join(whose.Place, h.Name), h.Mode&0o111 != 0)
		}
		if err != nil {
			return fault.Wrap(fault.Tampered, err, "what the scripts of %s made is not taken", whose.Name)
		}
	}
}

// made tells whether an entry is one that a package's scripts may make.
func made(h *tar.Header, place string, places map[string]bool) error {
	switch {
	case h.Typeflag != tar.TypeReg:
		return fmt.Errorf("%.80q is no file", h.Name)
	case !fs.ValidPath(h.Name) || h.Name == "." || strings.ContainsAny(h.Name, "\x00\\") || len(h.Name) > 1024:
		return fmt.Errorf("there is a file %.80q", h.Name)
	}
	if whose := owner(places, path.Join(place, h.Name)); whose != place {
		return fmt.Errorf("%.80q belongs to another package, %s", h.Name, whose)
	}
	return nil
}

// taken is a file that is being written, at the top, where no package is.
const taken = ".taken"

// take writes one file and puts it in its place.
func take(content io.Reader, layer *os.Root, name string, executable bool) error {
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	f, err := layer.OpenFile(taken, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = layer.MkdirAll(path.Dir(name), 0o755)
	}
	if err == nil {
		err = layer.Rename(taken, name)
	}
	if err != nil {
		return errors.Join(err, layer.Remove(taken))
	}
	return nil
}
