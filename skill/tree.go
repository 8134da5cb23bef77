package skill

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/pattern"
)

// The bounds of a skill's folder.
const (
	MaxTotal = 64 << 20 // bytes of all files
	MaxFiles = 4096     // files and folders
	MaxDepth = 16       // folders in folders
	MaxMain  = 256 << 10
	maxPath  = 1024
)

// File is one file of a skill.
type File struct {
	Path       string // with slashes, from the skill's folder
	Size       int64
	Executable bool
	Digest     string // sha256:…
}

// tree is a folder under way.
type tree struct {
	files   []File
	folders []string
	total   int64
	kept    map[string][]byte // the texts that mean something to Nacre
}

// known are the files whose names mean something, by their lower-case names:
// anything that could be mistaken for one of them is refused.
func known(name string) (is string, kept bool) {
	names := []string{Main, CapabilitiesFile, SignatureFile}
	for n := range kinds {
		names = append(names, n)
	}
	lower := strings.ToLower(name)
	if base, ok := strings.CutSuffix(lower, ".yml"); ok {
		lower = base + ".yaml"
	}
	for _, n := range names {
		if strings.ToLower(n) == lower {
			return n, true
		}
	}
	return "", false
}

// nameOfFile is what files and folders may be called: printable ASCII without
// what other systems and shells trip over.
var nameOfFile = pattern.Of(`^[A-Za-z0-9._+@=,~#%&'!$()\[\]{}^-]([A-Za-z0-9 ._+@=,~#%&'!$()\[\]{}^-]*[A-Za-z0-9._+@=,~#%&'!$()\[\]{}^-])?$`)

// CheckPath refuses names that no file of a skill may have: a path of plain
// names, without "..", links to nowhere and characters that do not show.
func CheckPath(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > maxPath {
		return fault.New(fault.Invalid, "%.120q is not a path in the skill's folder", name)
	}
	steps := strings.Split(name, "/")
	if len(steps) > MaxDepth {
		return fault.New(fault.Invalid, "%.120q lies deeper than %d folders", name, MaxDepth)
	}
	for _, step := range steps {
		if len(step) > 255 || !nameOfFile().MatchString(step) {
			return fault.New(fault.Invalid, "%.120q: a name of a file must be printable ASCII, without \\ : * ? \" < > | and ; and without a space at its ends", name)
		}
	}
	return nil
}

func readTree(folder fs.FS) (*tree, error) {
	t := &tree{kept: map[string][]byte{}}
	if err := t.folder(folder, "."); err != nil {
		return nil, err
	}
	slices.SortFunc(t.files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	slices.Sort(t.folders)
	return t, nil
}

// folder reads all that a folder holds.
func (t *tree) folder(of fs.FS, name string) error {
	entries, err := readDir(of, name)
	if err != nil {
		return err
	}
	seen := map[string]string{}
	for _, e := range entries {
		full := path.Join(name, e.Name())
		if err := CheckPath(full); err != nil {
			return err
		}
		if other, twice := seen[strings.ToLower(e.Name())]; twice {
			return fault.New(fault.Invalid, "%q and %q differ only in case: on some systems they are one file", path.Join(name, other), full)
		}
		seen[strings.ToLower(e.Name())] = e.Name()
		if len(t.files)+len(t.folders) >= MaxFiles {
			return fault.New(fault.Invalid, "the skill holds more than %d files and folders", MaxFiles)
		}
		if err := t.entry(of, full, e); err != nil {
			return err
		}
	}
	return nil
}

// readDir lists a folder, but not more of it than a skill may hold.
func readDir(of fs.FS, name string) ([]fs.DirEntry, error) {
	f, err := of.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, fault.New(fault.Invalid, "%s: expected a folder", name)
	}
	entries, err := dir.ReadDir(MaxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(name, err)
	}
	return entries, nil
}

func unreadable(name string, err error) error {
	return fault.Wrap(fault.Invalid, err, "%.120q cannot be read", name)
}

// entry reads one thing in a folder: a file or a folder, and nothing else.
func (t *tree) entry(of fs.FS, full string, e fs.DirEntry) error {
	if kind := e.Type(); kind != 0 && kind != fs.ModeDir {
		return Odd(full, kind)
	}
	f, err := of.Open(full)
	if err != nil {
		return unreadable(full, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return unreadable(full, err)
	}
	mode := info.Mode()
	switch {
	case mode.IsDir():
		t.folders = append(t.folders, full)
		return t.folder(of, full)
	case !mode.IsRegular() || mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return Odd(full, mode&^fs.ModePerm)
	}
	return t.file(f, full, mode)
}

// Odd is a fault about what is no plain file or folder.
func Odd(name string, kind fs.FileMode) error {
	what := "a device, a socket or a pipe"
	switch {
	case kind&fs.ModeSymlink != 0:
		what = "a link"
	case kind&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		what = "a setuid or setgid file"
	}
	return fault.New(fault.Invalid, "%q is %s: a skill holds plain files and folders only", name, what)
}

func (t *tree) file(f io.Reader, full string, mode fs.FileMode) error {
	keep := ""
	if is, ok := known(full); ok {
		if keep = is; is != full {
			return fault.New(fault.Invalid, "%q could be mistaken for %s", full, is).WithHint("rename it, or write it exactly so")
		}
	}
	most := MaxTotal - t.total
	if keep != "" {
		most = min(most, MaxMain)
	}
	sum := sha256.New()
	var text []byte
	n, err := int64(0), error(nil)
	if limited := io.LimitReader(f, most+1); keep != "" {
		text, err = io.ReadAll(limited)
		n = int64(len(text))
		sum.Write(text)
		t.kept[keep] = text
	} else {
		n, err = io.Copy(sum, limited)
	}
	switch {
	case err != nil:
		return unreadable(full, err)
	case n > most && keep != "":
		return fault.New(fault.Invalid, "%s is larger than %d KiB", full, MaxMain>>10)
	case n > most:
		return fault.New(fault.Invalid, "the skill is larger than %d MiB", MaxTotal>>20)
	}
	if keep == SignatureFile {
		return nil
	}
	t.total += n
	t.files = append(t.files, File{full, n, mode&0o111 != 0, written(sum)})
	return nil
}

func written(sum hash.Hash) string { return "sha256:" + hex.EncodeToString(sum.Sum(nil)) }

// digest is that of a list of all files and folders, a line for each.
func (t *tree) digest() string {
	sum := sha256.New()
	fmt.Fprintln(sum, "nacre skill 1")
	for _, name := range t.folders {
		fmt.Fprintln(sum, "folder", name)
	}
	for _, f := range t.files {
		kind := map[bool]string{true: "program", false: "file"}[f.Executable]
		fmt.Fprintln(sum, kind, f.Digest, f.Size, f.Path)
	}
	return written(sum)
}
