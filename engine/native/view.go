package native

import (
	"context"
	_ "embed"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"nacre"
	"nacre/fault"
	"nacre/policy"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/watch"
)

// view is what a sandbox shows of the host.
type view []sight

// sight is one thing that it shows, and what it hides of that.
type sight struct {
	entry blueprint.Entry
	what  os.FileInfo  // nil for what is laid over another
	pin   *sandbox.Pin // nil for the system's own, which init opens itself
}

// same tells whether two views show and hide the same.
func (v view) same(other view) bool {
	return slices.EqualFunc(v, other, func(a, b sight) bool {
		return (a.what == nil || os.SameFile(a.what, b.what)) && reflect.DeepEqual(a.entry, b.entry)
	})
}

// Contents lists what is in the root of a plan's sandbox, in the order in which it is
// made; nothing is.
func Contents(ctx context.Context, p nacre.Plan) (list []blueprint.Entry, err error) {
	b := &box{plan: p}
	if b.host, err = sandbox.Mounts("/proc/self/mountinfo"); err != nil {
		return nil, err
	}
	v, err := b.look(ctx, func(ctx context.Context, t *watch.Tree) (sandbox.Findings, error) { return t.Look(ctx) })
	for _, pinned := range b.held {
		pinned.Close()
	}
	list = ownEntries(p, "", hasGroup(p, "nested-sandbox"))
	for _, s := range v {
		list = append(list, s.entry)
	}
	return list, err
}

// look finds what the sandbox is to show: of the host's system, and of what is
// granted, in which scan finds what to mask and to guard.
func (b *box) look(ctx context.Context, scan func(context.Context, *watch.Tree) (sandbox.Findings, error)) (v view, err error) {
	if b.plan.Image.Kind == nacre.ImageHost {
		v.system()
	}
	v.offer(listed("devices", blueprint.Entry{Device: true, NoExec: true}))
	blocked, err := policy.NewBlocked(b.plan.Blocked)
	if err != nil {
		return v, err
	}
	hidden := sandbox.Hidden{}
	elsewhere := sync.OnceFunc(func() { b.hide(hidden) })
	for _, g := range b.plan.Files {
		pin, err := b.pin(g.Host)
		if g.Optional && fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return v, err
		}
		t := blueprint.Entry{Form: blueprint.Tree, Host: g.Host, Path: g.Inside, Dir: pin.Dir, Write: g.Access == nacre.Write}
		s := &sandbox.Scanner{Pin: pin, Blocked: blocked.MatchEntry, Hidden: hidden}
		if t.Write {
			s.Guarded = guards()
		}
		found, err := scan(ctx, &watch.Tree{Scanner: s, Inside: t.Path, Write: t.Write})
		if err != nil {
			return v, err
		}
		if s.Several() {
			elsewhere()
		}
		v = append(v, sight{t, pin.Info, pin})
		for _, g := range found.Guards {
			v.over(blueprint.Entry{Form: blueprint.Guard, Path: path.Join(t.Path, g.Path), Write: !g.ReadOnly})
		}
		mask := func(names []string) {
			for _, name := range names {
				v.over(blueprint.Entry{Form: blueprint.Mask, Path: path.Join(t.Path, name)})
			}
		}
		mask(found.Masks)
		defer func() { mask(s.Further()) }() // what a later folder hides has names in those before
	}
	return v, nil
}

// hide adds what no folder may show by another name: what is blocked by its path, such as
// Nacre's own files and the policy, and the manifest. That takes a walk through all of it,
// so only those pay for it whose folders hold files with several names.
func (b *box) hide(hidden sandbox.Hidden) {
	hidden.Beneath(b.plan.Subject.Path) // a path, no pattern; without one nothing
	for _, pattern := range b.plan.Blocked {
		if !path.IsAbs(pattern) {
			continue // a name, wherever it is
		}
		places, _ := filepath.Glob(strings.TrimSuffix(pattern, "/-")) // what is only not to be written has a name in it blocked
		for _, place := range places {
			hidden.Beneath(place)
		}
	}
}

// pin holds a granted folder or file. It refuses one on or under which something
// is mounted that is not a file system of files: what the kernel shows there is
// no owner's to give.
func (b *box) pin(path string) (*sandbox.Pin, error) {
	p, err := sandbox.OpenPin(path)
	if err != nil {
		return nil, err
	}
	b.held = append(b.held, p.File)
	for _, m := range sandbox.MountsOf(b.host, p.Path) {
		if m.Pseudo() {
			return nil, fault.New(fault.Denied, "%s reaches into %s, which is the kernel's (%s)", p.Path, m.Path, m.Type).
				WithHint("grant a folder that does not hold it")
		}
	}
	return p, nil
}

//go:embed host.txt
var hostFile string

// listed makes an entry like another of each path in a section of host.txt, where
// reasons stand behind a "#".
func listed(section string, e blueprint.Entry) (list []blueprint.Entry) {
	_, text, _ := strings.Cut(hostFile, "\n["+section+"]\n")
	text, _, _ = strings.Cut(text, "\n[")
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, e.Path = range strings.Fields(line) {
			list = append(list, e)
		}
	}
	return list
}

// system is what an agent sees of the host's, read-only, and empty folders beside.
func (v *view) system() {
	v.over(listed("folders", blueprint.Entry{Form: blueprint.Folder})...)
	v.offer(listed("usr", blueprint.Entry{}))
	v.over(listed("hidden", blueprint.Entry{Form: blueprint.Mask, Optional: true})...)
	v.offer(listed("etc", blueprint.Entry{NoExec: true}))
}

// over adds what hides or holds something, and what is not the host's.
func (v *view) over(list ...blueprint.Entry) {
	for _, e := range list {
		*v = append(*v, sight{entry: e})
	}
}

// offer adds what there is of the system's at its own place: a link as a link, the
// rest as a tree.
func (v *view) offer(list []blueprint.Entry) {
	for _, e := range list {
		st, err := os.Lstat(e.Path)
		switch {
		case err != nil:
			continue
		case st.Mode()&os.ModeSymlink != 0:
			target, _ := os.Readlink(e.Path)
			e = blueprint.Entry{Form: blueprint.Link, Path: e.Path, Text: []byte(target)}
		case st.IsDir(), st.Mode().IsRegular(), e.Device:
			e.Form, e.Host, e.Dir = blueprint.Tree, e.Path, st.IsDir()
		default:
			continue
		}
		*v = append(*v, sight{entry: e, what: st})
	}
}
