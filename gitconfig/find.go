package gitconfig

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"nacre/fault"
)

// finder looks for what configurations name in one folder.
type finder struct {
	folder string
	homes  []string
	parsed map[string][]Variable
	bytes  int
	looks  int
	most   int // looks
	found  int
	names  map[Name]Name // by all but why and top
}

// said is a variable, and the file that says so.
type said struct {
	Variable
	file string
}

// repository is where git works with a git folder.
type repository struct {
	top   string   // its work tree; of a bare one itself
	bases []string // what relative paths begin at
	git   string   // its own folder: where hooks of what is received begin
	said  []said
}

// Find tells what configurations name in a folder: the owner's own, those of the git folders
// in it, which are given relative to it (a .git, or a bare repository), and those of work
// trees that hold it. The folder's path is absolute and without links. Exhausted: the
// configuration is over the bounds.
func Find(folder string, gits []string) ([]Name, error) { return find(folder, gits, maxLooks) }

func find(folder string, gits []string, most int) ([]Name, error) {
	f := &finder{folder: folder, homes: homes(folder), parsed: map[string][]Variable{}, names: map[Name]Name{}, most: most}
	var own []said
	for _, home := range f.homes {
		for _, file := range global(home) {
			list, err := f.load(file, "git's configuration of your own", map[string]bool{}, 0)
			if err != nil {
				return nil, err
			}
			own = append(own, list...)
		}
	}
	where := []string{}
	for _, git := range gits {
		where = append(where, path.Join(folder, git))
	}
	for above := path.Dir(folder); ; above = path.Dir(above) {
		where = append(where, path.Join(above, ".git"))
		if above == "/" {
			break
		}
	}
	err := f.all(own, repository{})
	for _, git := range where {
		if err == nil {
			err = f.repository(git, own)
		}
	}
	return slices.SortedFunc(maps.Values(f.names), func(a, b Name) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Use, b.Use), cmp.Compare(a.Link, b.Link))
	}), err
}

// load is what a file says and all that it includes say, each once; what it includes is
// itself among what is found.
func (f *finder) load(file, why string, loaded map[string]bool, depth int) (list []said, err error) {
	s, ok, err := f.follow(file)
	if err != nil || !ok || loaded[s.path] {
		return nil, err
	}
	loaded[s.path] = true
	if why != "" {
		if err := f.add(file, Include, why, repository{}); err != nil {
			return nil, err
		}
	}
	vars, known := f.parsed[s.path]
	if !known && !s.missing {
		text, err := read(s.path)
		if f.bytes += len(text); err == nil && f.bytes > maxBytes {
			err = fault.Wrap(fault.Exhausted, errLarge, "over %d MiB of it", maxBytes>>20)
		}
		if err != nil {
			return nil, err
		}
		vars = Parse(text)
		f.parsed[s.path] = vars
	}
	if err := f.spend(len(vars)); err != nil {
		return nil, err
	}
	for _, v := range vars {
		if !v.includes() {
			list = append(list, said{v, file})
			continue
		}
		for _, next := range f.expand(v.Value, []string{path.Dir(file)}, false) {
			if depth < maxDepth {
				more, err := f.load(next, v.Key()+" in "+file, loaded, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, more...)
			}
		}
	}
	return list, nil
}

// spend counts looks, as many as the bound allows.
func (f *finder) spend(looks int) error {
	if f.looks += looks; f.looks > f.most {
		return fault.Wrap(fault.Exhausted, errLarge, "over %d variables, and names in paths", f.most)
	}
	return nil
}

func (f *finder) follow(name string) (spot, bool, error) {
	s, ok := follow(name, f.folder)
	return s, ok, f.spend(1 + s.steps)
}

func (f *finder) expand(value string, bases []string, pieces bool) (list []string) {
	for _, home := range append([]string{""}, f.homes...) {
		for _, name := range expand(value, home, bases, pieces) {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// repository looks at a git folder, or at the file that names one.
func (f *finder) repository(git string, own []said) error {
	s, ok, err := f.follow(git)
	if err != nil || !ok || s.missing {
		return err
	}
	r := repository{top: s.path, git: s.path}
	if strings.EqualFold(path.Base(git), ".git") {
		r.top = path.Dir(git)
	}
	if s.mode.IsRegular() {
		text, err := read(s.path)
		named, is := strings.CutPrefix(text, "gitdir:")
		if err != nil || !is {
			return err
		}
		r.git = absolute(named, r.top)
	}
	common := r.git
	if text, err := read(path.Join(r.git, "commondir")); err == nil && text != "" {
		common = absolute(text, r.git)
	}
	loaded := map[string]bool{}
	for _, file := range []string{common + "/config", r.git + "/config.worktree"} {
		list, err := f.load(file, "", loaded, 0)
		if err != nil {
			return err
		}
		r.said = append(r.said, list...)
	}
	r.bases = []string{r.top}
	for _, v := range r.said {
		if v.Key() == "core.worktree" {
			r.bases = append(r.bases, absolute(v.Value, r.git))
		}
	}
	return f.all(slices.Concat(own, r.said), r)
}

// absolute is a path as a file in a folder says it, without its line's end.
func absolute(text, folder string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if path.IsAbs(name) {
		return name
	}
	return folder + "/" + name
}

// all adds what all variables name.
func (f *finder) all(list []said, r repository) error {
	if err := f.spend(len(list)); err != nil {
		return err
	}
	for _, v := range list {
		use, names := Program, []string(nil)
		if folders[v.Key()] {
			use, names = Hooks, f.expand(v.Value, slices.Concat(r.bases, nonempty(r.git)), false)
		} else {
			for _, home := range append([]string{""}, f.homes...) {
				for _, word := range v.paths(home) {
					names = append(names, f.expand(word, r.bases, true)...)
				}
			}
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if err := f.add(name, use, v.Key()+" in "+v.file, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func nonempty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// add notes what is in the folder, or is reached by a link in it.
func (f *finder) add(name string, use Use, why string, r repository) error {
	s, ok, err := f.follow(name)
	if err != nil {
		return err
	}
	rel, inside := within(s.path, f.folder)
	linked := s.link != "" && use != Program
	switch {
	case !ok, !inside && s.link == "":
		return nil
	case s.missing && use == Program && s.link != "":
		return nil // hardly a path at all
	case !s.missing && !linked && (use == Hooks) != s.mode.IsDir(), !s.missing && use != Hooks && !linked && !s.mode.IsRegular():
		return nil
	}
	n := Name{Path: rel, Use: use, Folder: !s.missing && s.mode.IsDir(), Missing: s.missing, Link: s.link}
	if _, known := f.names[n]; known {
		return nil
	}
	if !n.Missing {
		if f.found++; f.found > maxNames {
			return fault.Wrap(fault.Exhausted, errLarge, "it names over %d files", maxNames)
		}
	} else if len(f.names)-f.found > maxNames {
		return nil // told of, if they appear: not all
	}
	whole := n
	whole.Why, whole.Shared = why, n.Folder && repositoryAt(s.path)
	for _, base := range r.bases {
		base = path.Clean(base)
		if _, below := within(s.path, base); below {
			whole.Top, _ = within(base, f.folder)
		}
	}
	f.names[n] = whole
	return nil
}
