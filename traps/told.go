package traps

import (
	"errors"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"nacre/gitconfig"
)

// maxHooks bounds what is stamped of one folder of hooks.
const maxHooks = 10_000

// toldRules are those of what git's configuration names, by what git does with it.
var toldRules = map[gitconfig.Use]*rule{
	gitconfig.Hooks:   {kind: GitHook, why: "git runs it by itself: its configuration has hooks in this folder"},
	gitconfig.Include: {kind: GitConfig, why: "git obeys it, since its configuration includes it, and it can name programs to run"},
	gitconfig.Program: {kind: GitHook, why: "git runs it, or has it obeyed: its configuration names it"},
}

// repository notes a git folder, or a file that names one.
func (w *walker) repository(rel string) {
	w.gits, w.size = append(w.gits, rel), w.size+len(rel)
}

// told stamps what git's configuration names in the folder.
func (w *walker) told() ([]gitconfig.Name, error) {
	folder, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(w.top)) // as it is called now, without links
	if err != nil {
		return nil, errCut("the folder cannot be found by its name")
	}
	names, err := gitconfig.Find(folder, w.gits)
	if err != nil {
		return nil, errCut(err.Error())
	}
	for _, n := range names {
		rel := n.Path
		if n.Link != "" { // made since the start, which refuses one
			rel = n.Link
		}
		r := toldRules[n.Use]
		if !n.Folder || n.Link != "" {
			w.at(path.Dir(rel), path.Base(rel), rel, r)
			continue
		}
		dir, err := w.open(rel)
		if err != nil {
			continue // gone meanwhile
		}
		entries, _ := dir.ReadDir(maxHooks) // a part is better than nothing
		for _, e := range entries {
			if !e.IsDir() {
				w.stamp(place{fd: int(dir.Fd()), path: rel}, e.Name(), key{path.Join(rel, e.Name()), r.kind}, r, "")
			}
		}
		dir.Close()
	}
	return names, nil
}

// at stamps one entry of a folder, if it is there.
func (w *walker) at(folder, name, rel string, r *rule) {
	dir, err := w.open(folder)
	if err != nil {
		return
	}
	defer dir.Close()
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); !errors.Is(err, unix.ENOENT) {
		w.stamp(place{fd: int(dir.Fd()), path: folder}, name, key{rel, r.kind}, r, "")
	}
}

// open opens a folder in the folder, by no link.
func (w *walker) open(rel string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(w.top, rel, &how)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), rel), nil
}
