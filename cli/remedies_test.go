package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
	"nacre/remedy"
)

// person is an owner with a home, who types commands.
type person struct {
	t    *testing.T
	home string
}

func newPerson(t *testing.T) person {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return person{t, home}
}

// types runs a command, and returns its exit code and all that it prints.
func (p person) types(args ...string) (code int, text string) {
	p.t.Helper()
	out, err := os.Create(filepath.Join(p.home, "said"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		p.t.Fatal(err)
	}
	defer null.Close()
	app := &App{In: null, Out: out, Err: out, Program: filepath.Join(os.Getenv("NACRE_BIN"), "nacre"),
		Environ: func() []string { return []string{"HOME=" + p.home, "PATH=" + os.Getenv("PATH")} }}
	code = Main(context.Background(), app, args)
	b, err := os.ReadFile(out.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	return code, string(b)
}

// writes makes a file in the home.
func (p person) writes(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)} {
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return path
}

// TestPrintedLineAllows: what a refusal and explain print to be copied allows what it
// names, whatever that is called, and is one printable line.
func TestPrintedLineAllows(t *testing.T) {
	for _, name := range []string{"plain", `ba\ck`, `q"uote`, "new\nline", "tab\there", "bidi\u202etxt", "it's", "\x1b[2J", `\x41`} {
		p := newPerson(t)
		folder := filepath.Join(p.home, "p", name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		agent := p.writes("agent.yaml", "version: 1\nname: a\ncommand: [\"true\"]\nfiles: [{path: "+remedy.Quote(folder)+", at: /work/x, access: write}]\n")
		_, refused := p.types("plan", "--agent", agent)
		_, hint, ok := strings.Cut(strings.TrimSuffix(refused, "\n"), "\nhint: the policy would allow it with: ")
		_, said := p.types("explain", "files", folder, "write")
		if !ok || strings.ContainsAny(hint, "\n\t\x1b\u202e") || !strings.HasSuffix(said, "\nremedy\t"+hint+"\n") {
			t.Errorf("%q: %q, %q", name, refused, said)
			continue
		}
		if code, added := p.types("policy", "allow", hint); code != 0 || !strings.HasSuffix(added, "added "+hint+"\n") {
			t.Errorf("%q: %s: %d %s", name, hint, code, added)
		}
		if code, granted := p.types("plan", "--agent", agent); code != 0 {
			t.Errorf("%q: %s: %s", name, hint, granted)
		}
	}
}

// TestWhoseFileChanges: of several denials, the last hint says which file it is that has
// to change.
func TestWhoseFileChanges(t *testing.T) {
	for name, c := range map[string]struct{ own, asks, hint string }{
		"the own":   {"", "environment: {A: {from: owner}, B: {from: owner}}", "nacre policy allow writes such lines into your policy; nacre explain"},
		"no policy": {"", "messages: [{with: x, access: [send]}]\ndevices: [kvm]", "no line of a policy allows any of this"},
	} {
		p := newPerson(t)
		p.writes(".config/nacre/policy.yaml", "version: 1\n"+c.own)
		agent := p.writes("agent.yaml", "version: 1\nname: a\ncommand: [x]\n"+c.asks+"\n")
		_, refused := p.types("run", "--agent", agent)
		if _, hint, ok := strings.Cut(refused, "\nhint: "); !ok || !strings.HasPrefix(hint, c.hint) {
			t.Errorf("%s: %s", name, refused)
		}
	}
}

// TestCeilingChanges: where the administrator's policy stands in the way, that is said in
// place of how to change the own.
func TestCeilingChanges(t *testing.T) {
	app := &App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: func() []string { return []string{"HOME=/nonexistent"} }}
	const own, above = "syscalls: [debug]", "syscalls: [debug] # in the administrator's ceiling"
	for want, lines := range map[string][]string{
		"nacre policy allow writes such lines into your policy; nacre explain":                                                    {own, own},
		"your own policy does not decide this alone: the administrator's policy, /etc/nacre/policy.yaml, has to change first":     {above, above},
		"nacre policy allow writes such lines into your policy; what is said of the ceiling has to change in the administrator's": {own, above},
		"no line of a policy": {"", "take it out"},
	} {
		var denied []nacre.Decision
		for _, l := range lines {
			denied = append(denied, nacre.Decision{Remedy: l})
		}
		if got := app.altogether(denied); !strings.HasPrefix(got, want) {
			t.Errorf("%v: %s", lines, got)
		}
	}
}
