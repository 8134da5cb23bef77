package traps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/gitconfig"
)

const (
	maxDepth  = 200  // folders, each of which holds a descriptor
	maxPath   = 3584 // bytes: below PATH_MAX with any name
	stampSize = 256  // bytes that a stamp takes, roughly, beside its path
)

// bounds are those of one look.
type bounds struct {
	entries int
	stamps  int // bytes that all of them may take
}

// usual are as wide as those of the scan before a run.
var usual = bounds{entries: 5_000_000, stamps: 64 << 20}

// errCut ends a walk that met a bound.
type errCut string

func (e errCut) Error() string { return string(e) }

// key is what is stamped: an entry may be a trap in several ways.
type key struct {
	path string
	kind Kind
}

// walker walks one tree.
type walker struct {
	ctx        context.Context
	bounds     bounds
	top        int // the folder's descriptor
	plain, git index
	hash       func(key, stamp) bool // is its content wanted?
	hashed     int64                 // bytes read so far
	seen, size int
	stamps     map[key]stamp
	gits       []string // git folders, and files that name one
}

// place is the folder being read.
type place struct {
	fd       int
	path     string // relative, empty at the top
	name     string // folded
	depth    int
	rule     *rule  // by which all below is a trap
	under    string // the folder that this rule names
	git      int    // levels inside a git folder: 1 at its top, 0 outside
	hidden   bool   // inside .git, where only git looks
	packages bool   // below a folder of installed packages
}

// walk stamps what matters in the folder that dir holds, and tells what git's configuration
// names in it; an error of the kind errCut telling that it met a bound.
func walk(ctx context.Context, dir *os.File, b bounds, hash func(key, stamp) bool) (map[key]stamp, []gitconfig.Name, error) {
	w := &walker{ctx: ctx, bounds: b, plain: newIndex(rules), git: newIndex(gitRules), hash: hash, stamps: map[key]stamp{}}
	top, err := openFolder(int(dir.Fd()), ".")
	if err != nil {
		return nil, nil, err
	}
	defer top.Close()
	w.top = int(top.Fd())
	p := place{fd: w.top}
	if isRepository(w.top) {
		p.git = 1
		w.stamp(p, ".", key{".", GitRedirect}, &newRepository, "")
		w.repository(".")
	}
	if err := w.folder(top, p); err != nil {
		return w.stamps, nil, err
	}
	names, err := w.told()
	return w.stamps, names, err
}

func openFolder(at int, name string) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// isRepository tells whether git would take a folder for a repository, whatever
// it is called.
func isRepository(fd int) bool {
	has := func(name string) bool {
		var st unix.Stat_t
		return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
	}
	return has("HEAD") && (has("commondir") || has("objects") && has("refs"))
}

func (w *walker) folder(dir *os.File, p place) error {
	for {
		entries, err := dir.ReadDir(512)
		for _, e := range entries {
			if err := w.entry(p, e); err != nil {
				return err
			}
		}
		switch {
		case w.seen > w.bounds.entries:
			return errCut(fmt.Sprintf("the folder holds over %d entries", w.bounds.entries))
		case w.size > w.bounds.stamps:
			return errCut("the folder holds more suspicious entries than can be kept")
		case w.ctx.Err() != nil:
			return errCut("the look took too long")
		case errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return errCut("a folder could not be read to its end")
		}
	}
}

// entry stamps one entry, and goes into it where it is a folder.
func (w *walker) entry(p place, e fs.DirEntry) error {
	w.seen++
	name := e.Name()
	rel := path.Join(p.path, name)
	if hostile(name) {
		w.stamp(p, name, key{rel, HostileName}, &hostileName, "")
	}
	folded := strings.ToLower(name)
	switch e.Type() {
	case fs.ModeDir:
		return w.descend(p, name, place{path: rel, name: folded, depth: p.depth + 1})
	case 0:
		w.regular(p, name, rel)
	case fs.ModeSymlink:
		w.link(p, name, rel)
	case fs.ModeNamedPipe:
		w.stamp(p, name, key{rel, FIFO}, &fifo, "")
	case fs.ModeSocket:
		w.stamp(p, name, key{rel, Socket}, &socket, "")
	default:
		w.stamp(p, name, key{rel, Device}, &device, "")
	}
	if folded == ".git" {
		w.repository(rel)
	}
	if r, under := w.match(p, folded); r != nil {
		w.stamp(p, name, key{rel, r.kind}, r, under)
	}
	return nil
}

// match is the rule for an entry that is no folder, and the folder that the
// rule names where it is not the entry itself.
func (w *walker) match(p place, folded string) (*rule, string) {
	switch {
	case folded == ".git":
		return &gitFile, ""
	case p.git == 1 && w.git.names[folded] != nil:
		return w.git.names[folded], ""
	case p.git == 2 && w.git.in(p.name, folded) != nil && !strings.HasSuffix(folded, ".sample"):
		return w.git.in(p.name, folded), ""
	case p.hidden:
		return nil, ""
	}
	if r := w.plain.find(p.name, folded); r != nil && !(p.packages && ordinary[r.kind]) {
		return r, ""
	}
	return p.rule, p.under
}

// descend goes into a folder; sub is what is known of it.
func (w *walker) descend(p place, name string, sub place) error {
	if sub.depth > maxDepth || len(sub.path) > maxPath {
		w.stamp(p, name, key{sub.path, Unseen}, &tooDeep, "")
		return nil
	}
	dir, err := openFolder(p.fd, name)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // gone meanwhile
	case err != nil:
		w.stamp(p, name, key{sub.path, Unseen}, &unreadable, "")
		return nil
	}
	defer dir.Close()
	sub.fd = int(dir.Fd())
	w.enter(p, name, &sub)
	return w.folder(dir, sub)
}

// enter works out what holds in a folder, and stamps it where it is a trap as a
// whole.
func (w *walker) enter(p place, name string, sub *place) {
	sub.packages = p.packages || packages[sub.name]
	sub.hidden = p.hidden || sub.name == ".git"
	sub.rule, sub.under = p.rule, p.under
	if p.git > 0 {
		sub.git = p.git + 1
	}
	if sub.name == ".git" || isRepository(sub.fd) {
		sub.git = 1
		w.repository(sub.path)
		w.stamp(p, name, key{sub.path, GitRedirect}, &newRepository, "")
	}
	if sub.hidden {
		return
	}
	if r := w.plain.find(p.name, sub.name); r != nil && !(sub.packages && ordinary[r.kind]) {
		w.stamp(p, name, key{sub.path, r.kind}, r, p.under)
		sub.rule, sub.under = r, sub.path
	}
}
