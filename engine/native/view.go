package native

import (
	"context"
	_ "embed"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"

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

// look finds what the sandbox is to show: of the host's system, and of what is
// granted, in which scan finds what to mask and to guard.
func (b *box) look(ctx context.Context, scan func(context.Context, *watch.Tree) (sandbox.Findings, error)) (v view, err error) {
	if b.plan.Image.Kind == nacre.ImageHost {
		v.system()
	}
	for _, name := range listed("devices") {
		v.offer(blueprint.Entry{Host: "/dev/" + name, Device: true, NoExec: true})
	}
	blocked, err := policy.NewBlocked(b.plan.Blocked)
	if err != nil {
		return v, err
	}
	hidden := sandbox.Hidden{}
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

// listed reads a section of host.txt: names, with the reason behind a "#".
func listed(section string) (names []string) {
	_, text, _ := strings.Cut(hostFile, "\n["+section+"]\n")
	text, _, _ = strings.Cut(text, "\n[")
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.Fields(line)...)
	}
	return names
}

// system is what an agent sees of the host's, read-only.
func (v *view) system() {
	for _, p := range listed("usr") {
		v.offer(blueprint.Entry{Host: p})
	}
	for _, name := range listed("hidden") {
		v.over(blueprint.Entry{Form: blueprint.Mask, Path: "/usr/" + name, Optional: true})
	}
	for _, name := range listed("etc") {
		v.offer(blueprint.Entry{Host: "/etc/" + name, NoExec: true})
	}
}

// over adds what hides or holds something.
func (v *view) over(e blueprint.Entry) { *v = append(*v, sight{entry: e}) }

// offer adds something of the system's at its own place, if the host has it: a
// link as a link, the rest as a tree.
func (v *view) offer(e blueprint.Entry) {
	st, err := os.Lstat(e.Host)
	switch e.Path = e.Host; {
	case err != nil:
		return
	case st.Mode()&os.ModeSymlink != 0:
		target, _ := os.Readlink(e.Host)
		e = blueprint.Entry{Form: blueprint.Link, Path: e.Host, Text: []byte(target)}
	case st.IsDir(), st.Mode().IsRegular(), e.Device:
		e.Form, e.Dir = blueprint.Tree, st.IsDir()
	default:
		return
	}
	*v = append(*v, sight{entry: e, what: st})
}
