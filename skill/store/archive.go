package store

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/pattern"
	"nacre/skill"
)

// The bounds of an archive, of which a skill may be a small part.
const (
	MaxArchive = 256 << 20 // as it comes, and as a tar unpacked
	maxZip     = 64 << 20  // a zip's index is read whole
	maxEntries = 100_000
)

var commit = pattern.Of(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// Unpack unpacks a tar, a tar.gz or a zip; of sub, where it is not empty, only
// what lies in that folder.
func (st *Staged) Unpack(file, sub string) error {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "%s: there is no such archive", file)
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "cannot read the archive")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fault.Wrap(fault.Invalid, err, "%s: expected an archive: a tar, a tar.gz or a zip", file)
	}
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err == nil && bytes.HasPrefix(head, []byte("PK")) {
		return st.zip(f, info.Size(), sub)
	}
	return st.UnpackTar(f, sub)
}

// UnpackTar unpacks a tar, compressed by gzip or not, from a stream.
func (st *Staged) UnpackTar(from io.Reader, sub string) error {
	in := bufio.NewReader(io.LimitReader(from, MaxArchive))
	var plain io.Reader = in
	if head, err := in.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		if plain, err = gzip.NewReader(in); err != nil {
			return unpacked(err)
		}
	}
	r := tar.NewReader(&bounded{plain, st.most})
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unpacked(err)
		}
		if n > maxEntries {
			return fault.New(fault.Invalid, "the archive holds more than %d entries", maxEntries)
		}
		if h.Typeflag == tar.TypeXGlobalHeader { // git writes the commit there
			if c := h.PAXRecords["comment"]; commit().MatchString(c) {
				st.Revision = c
			}
			continue
		}
		mode := h.FileInfo().Mode()
		if h.Typeflag == tar.TypeLink {
			mode |= fs.ModeSymlink // a further name of something is no file either
		} else if h.Typeflag != tar.TypeReg && mode.IsRegular() {
			mode |= fs.ModeIrregular
		}
		if err := st.member(h.Name, sub, mode, r); err != nil {
			return unpacked(err)
		}
	}
}

func (st *Staged) zip(f io.ReaderAt, size int64, sub string) error {
	if size > maxZip {
		return fault.New(fault.Invalid, "the archive is larger than %d MiB", maxZip>>20)
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return unpacked(err)
	}
	if len(z.File) > maxEntries {
		return fault.New(fault.Invalid, "the archive holds more than %d entries", maxEntries)
	}
	for _, m := range z.File {
		if err := st.zipped(m, sub); err != nil {
			return unpacked(err)
		}
	}
	return nil
}

func (st *Staged) zipped(m *zip.File, sub string) error {
	mode := m.Mode()
	if m.Flags&1 != 0 {
		return fault.New(fault.Invalid, "%.120q is encrypted", m.Name)
	}
	if mode.IsDir() {
		return st.member(m.Name, sub, mode, nil)
	}
	in, err := m.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	return st.member(m.Name, sub, mode, in)
}

// member writes one thing of an archive. Names are taken as they are: one with
// .. in it, or at the root, refuses all.
func (st *Staged) member(name, sub string, mode fs.FileMode, from io.Reader) error {
	clean := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if clean == "" || clean == "." {
		return nil // the top itself
	}
	if !fs.ValidPath(clean) {
		return fault.New(fault.Invalid, "%.120q leads out of the archive, or is no plain path", name)
	}
	if sub != "" {
		rest, within := strings.CutPrefix(clean, sub+"/")
		if !within {
			return nil
		}
		clean = rest
	}
	if strings.Contains("/"+clean+"/", "/"+gitFolder+"/") {
		st.note(gitFolder + " was left out: it is git's, and no part of a skill")
		return nil
	}
	switch {
	case mode.IsDir():
		return st.Folder(clean)
	case !mode.IsRegular() || mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return skill.Odd(clean, mode&^fs.ModePerm)
	}
	return st.File(clean, mode&0o111 != 0, from)
}

// CheckSub refuses what is no folder in an archive.
func CheckSub(sub string) error {
	if sub != "" && (!fs.ValidPath(sub) || sub == "." || path.Clean(sub) != sub) {
		return fault.New(fault.Usage, "--path: expected a folder in the source, such as skills/greet; found %.120q", sub)
	}
	return nil
}

// bounded is a stream that may not be longer than its bound, however little it
// was made of.
type bounded struct {
	in   io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.New(fault.Invalid, "the archive unpacks to more than it may, %d MiB", MaxArchive>>20)
	}
	return n, err
}

func unpacked(err error) error {
	var own *fault.Fault
	if errors.As(err, &own) {
		return err
	}
	return fault.Wrap(fault.Invalid, err, "the archive cannot be unpacked")
}
