package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nacre/fault"
	"nacre/grant"
	"nacre/load"
	"nacre/policy"
	"nacre/seccomp"
)

func (in *input) policies(_ *App, o owner, c *grant.Input) (err error) {
	path := o.policyPath()
	if in.policy != "" {
		path = in.policy
		if _, err := os.Lstat(path); err != nil {
			return fault.New(fault.NotFound, "%s: there is no such policy", path).
				WithHint("nacre policy init writes one to begin with; without --policy a missing one allows nothing")
		}
	}
	if path, err = filepath.Abs(path); err != nil {
		return fault.Wrap(fault.NotFound, err, "%s", path)
	}
	if c.Policy, err = load.Policy(path, o.uid, nil); err != nil {
		return err
	}
	if c.Ceiling, err = load.Policy(o.ceilingPath(), 0, nil); err != nil {
		return err
	}
	c.Owner.Policies = spellings(path, o.ceilingPath())
	return nil
}

// spellings are the paths as written and as they really are: a policy reached
// through a link must not lie in a granted folder either.
func spellings(paths ...string) (all []string) {
	known := map[string]string{}
	for _, p := range paths {
		p = filepath.Clean(p)
		all = append(all, p)
		if real := really(p, known); real != p {
			all = append(all, real)
		}
	}
	return all
}

// really is where a clean path leads, or will, once what is lacking of it is made. known
// has what was found before: most paths have folders in common.
func really(path string, known map[string]string) string {
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	real, found := known[path]
	if found {
		return real
	}
	real = filepath.Join(really(dir, known), filepath.Base(path))
	if st, err := os.Lstat(real); err == nil && st.Mode()&os.ModeSymlink != 0 {
		if leads, err := filepath.EvalSymlinks(real); err == nil {
			real = leads
		}
	}
	known[path] = real
	return real
}

// facts are what the compiler must know of the owner and the machine.
func (in *input) facts(app *App, o owner, c *grant.Input) error {
	c.Owner.Home, c.Owner.Cwd = o.home, o.cwd
	c.Owner.Own = spellings(slices.Concat(o.own(app.Program, app.getenv("XDG_RUNTIME_DIR")), in.with.apart(o))...)
	c.Owner.Environment = map[string]string{}
	for _, pair := range app.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		c.Owner.Environment[name] = value
	}
	c.Owner.Groups = seccomp.Groups()
	files := c.Files
	base := o.cwd
	if c.Manifest != nil {
		files = slices.Concat(c.Manifest.Files, c.Files)
		base = filepath.Dir(c.Subject.Path)
	}
	for i, f := range files {
		if c.Manifest == nil || i >= len(c.Manifest.Files) {
			base = o.cwd
		}
		host, err := policy.Resolve(f.Path, base, o.home, f.Origin)
		if st, e := os.Lstat(host); err == nil && e == nil && !st.IsDir() {
			c.Owner.PlainFiles = append(c.Owner.PlainFiles, host)
		} else if err == nil && e == nil {
			c.Owner.Policies = append(c.Owner.Policies, elsewhere(host, st, c.Owner.Policies)...)
			c.Owner.Own = append(c.Owner.Own, elsewhere(host, st, c.Owner.Own)...)
		}
	}
	return nil
}

// elsewhere are further names of paths, by way of a folder that is also one above them:
// a bind mount gives a folder a second name, which no path tells.
func elsewhere(folder string, is os.FileInfo, paths []string) (more []string) {
	for _, p := range paths {
		for above := filepath.Dir(p); above != "/"; above = filepath.Dir(above) {
			if st, err := os.Stat(above); err == nil && os.SameFile(st, is) && above != folder {
				more = append(more, folder+strings.TrimPrefix(p, above))
			}
		}
	}
	return more
}
