package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/grant"
)

// told is a gateway that notes what it was told last.
type told struct {
	ids  []string
	more []nacre.NetworkGrant
	fail error // of what is more
}

func (g *told) Change(ids []string, more []nacre.NetworkGrant) error {
	if g.fail != nil && more != nil {
		return g.fail
	}
	g.ids, g.more = ids, more
	return nil
}

func (*told) Answer(uint64, bool) error { return nil }

// running is a sandbox without one: what its policy and manifest make of it.
func running(t *testing.T, agent, policy string, flags ...string) (l *live, write func(name, text string), g *told) {
	t.Helper()
	home := t.TempDir()
	write = func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(home, name), []byte("version: 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(home, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("a/agent.yaml", "name: a\ncommand: [x]\n"+agent)
	write("policy.yaml", policy)
	app := &App{Environ: func() []string { return []string{"HOME=" + home} }, Program: filepath.Join(home, "nacre")}
	who := owner{uid: os.Geteuid(), home: home, cwd: home, config: filepath.Join(home, ".config"), state: filepath.Join(home, ".state"), system: filepath.Join(home, "etc"), cache: filepath.Join(home, ".cache"), homes: filepath.Join(home, ".homes")}
	in := &input{agent: filepath.Join(home, "a/agent.yaml"), policy: filepath.Join(home, "policy.yaml"), files: flags}
	l = in.begin(app, who)
	c, err := in.gather(app, who, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := grant.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	g = &told{}
	l.gateway = g
	l.start(c, p)
	return l, write, g
}

func changed(t *testing.T, l *live) (e nacre.Event) {
	t.Helper()
	if err := l.change(func(r nacre.Event) error { e = r; return nil }); err != nil {
		t.Fatal(err)
	}
	return e
}

func ids(list []nacre.NetworkGrant) (all string) {
	for _, n := range list {
		all += n.ID + "=" + n.Host + " "
	}
	return strings.TrimSpace(all)
}

const one = "network:\n  - {host: one.example.com}\n"

func TestLiveChange(t *testing.T) {
	l, write, g := running(t, one, one)
	same := changed(t, l)
	if same.Kind != "" || g.ids != nil {
		t.Error("nothing has changed", same)
	}
	// The policy alone adds nothing, nor does the manifest.
	write("policy.yaml", one+"  - {host: two.example.com}\n")
	if e := changed(t, l); e.Kind != "" {
		t.Error(e)
	}
	write("a/agent.yaml", "name: a\ncommand: [x]\n"+one+"  - {host: two.example.com}\n  - {host: three.example.com}\n")
	e := changed(t, l)
	if !slices.Equal(g.ids, []string{"network.1"}) || ids(g.more) != "network.2=two.example.com" || ids(l.standing().plan.Network) != "network.1=one.example.com network.2=two.example.com" {
		t.Error(g, l.standing().plan.Network)
	}
	if e.Detail["before"] != l.plan.Digest || e.Detail["after"] != l.standing().plan.Digest || e.Detail["after"] == e.Detail["before"] || !strings.Contains(e.Detail["more"], "two.example.com") {
		t.Error(e)
	}
	// Less, and again: the same grant with the same id; limits follow.
	write("policy.yaml", "network: [{host: two.example.com, bytes: 10}]\n")
	changed(t, l)
	if len(g.ids) != 0 || ids(g.more) != "network.2=two.example.com" || g.more[0].Bytes != 10 {
		t.Error(g)
	}
	write("policy.yaml", one)
	changed(t, l)
	if !slices.Equal(g.ids, []string{"network.1"}) || len(g.more) != 0 {
		t.Error(g)
	}
	// What the manifest no longer declares ends, though the policy allows it.
	write("a/agent.yaml", "name: a\ncommand: [x]\nnetwork: [{host: two.example.com}]\n")
	changed(t, l)
	if len(g.ids)+len(g.more) != 0 {
		t.Error(g)
	}
	// A policy that cannot be read allows nothing, and a manifest that cannot be adds nothing.
	write("a/agent.yaml", "name: a\ncommand: [x]\n"+one+"  - {host: two.example.com}\n")
	write("policy.yaml", "network: [{host: two.example.com}, {host: one.example.com}]\n")
	changed(t, l)
	if ids(g.more) != "network.2=two.example.com" {
		t.Error(g)
	}
	write("a/agent.yaml", "nonsense: true\n")
	if changed(t, l); !slices.Equal(g.ids, []string{"network.1"}) || len(g.more) != 0 || len(l.standing().left) != 1 {
		t.Error(g, l.standing().left)
	}
	write("policy.yaml", "nonsense: true\n")
	if changed(t, l); len(g.ids)+len(g.more) != 0 {
		t.Error(g)
	}
}

// TestNoRecordNothingMore: what cannot be recorded, or told, is not reached; what is
// less is so in any case.
func TestNoRecordNothingMore(t *testing.T) {
	for _, c := range []struct{ record, tell error }{{errors.New("disk full"), nil}, {nil, errors.New("too long")}} {
		l, write, g := running(t, one+"  - {host: gone.example.com}\n", one+"  - {host: gone.example.com}\n")
		write("a/agent.yaml", "name: a\ncommand: [x]\n"+one+"  - {host: gone.example.com}\n  - {host: two.example.com}\n")
		write("policy.yaml", one+"  - {host: two.example.com}\n")
		g.fail = c.tell
		err := l.change(func(nacre.Event) error { return c.record })
		if err == nil || !slices.Equal(g.ids, []string{"network.1"}) || g.more != nil || ids(l.standing().plan.Network) != "network.1=one.example.com" {
			t.Error(err, g, l.standing().plan.Network)
		}
	}
}

// TestOwnManifest: an agent that writes its own manifest declares nothing by it.
func TestOwnManifest(t *testing.T) {
	l, write, g := running(t, one, one+"  - {host: two.example.com}\n", "a:write")
	write("a/agent.yaml", "name: a\ncommand: [x]\n"+one+"  - {host: two.example.com}\n")
	write("policy.yaml", one+"  - {host: two.example.com}\n  - {host: three.example.com}\n")
	if e := changed(t, l); e.Kind != "" || g.more != nil {
		t.Error(e, g.more)
	}
}

// TestOwnLink: nor does one that can put another manifest in the place of a link to its
// own, which lies where it cannot write.
func TestOwnLink(t *testing.T) {
	l, write, g := running(t, one, one+"  - {host: two.example.com}\n", "a:write")
	folder := l.owner.home
	kept := filepath.Join(folder, "kept.yaml")
	if err := errors.Join(os.Rename(l.in.agent, kept), os.Symlink(kept, l.in.agent)); err != nil {
		t.Fatal(err)
	}
	c, err := l.in.gather(l.app, l.owner, nil) // as a start finds it
	if err != nil {
		t.Fatal(err)
	}
	l.start(c, l.plan)
	if err := os.Remove(l.in.agent); err != nil {
		t.Fatal(err)
	}
	write("a/agent.yaml", "name: a\ncommand: [x]\n"+one+"  - {host: two.example.com}\n")
	write("policy.yaml", one+"  - {host: two.example.com}\n  - {host: three.example.com}\n")
	if e := changed(t, l); len(g.more) != 0 || !strings.Contains(e.Detail["left"], "another file") {
		t.Error(e, g.more)
	}
}
