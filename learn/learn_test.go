package learn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/denials"
	"nacre/manifest"
)

type ledger struct{ err error }

func (l ledger) Record(context.Context, nacre.Event) error { return l.err }

func denied(kind, to, refs string) nacre.Event {
	return nacre.Event{Kind: kind, Detail: map[string]string{"to": to, "refs": refs}}
}

// propose is the manifest that events come to, which must be one.
func propose(t *testing.T, calls []denials.Denial, list ...nacre.Event) (string, *manifest.Manifest) {
	t.Helper()
	l := &Log{Audit: ledger{}}
	for _, e := range list {
		if err := l.Record(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	p := &Proposal{Name: "x", Command: []string{"x"}}
	l.Into(p, calls)
	text := string(p.Manifest())
	m, err := manifest.Parse("proposal", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return text, m
}

// TestProposal: what was seen becomes the fewest rights that cover it.
func TestProposal(t *testing.T) {
	for name, c := range map[string]struct {
		events []nacre.Event
		want   string // the live lines
	}{
		"one request": {[]nacre.Event{denied("network.name", "a.test.", ""), denied("network.connect", "tcp://a.test:443", ""), denied("network.request", "GET https://a.test:443/x", "")},
			"{host: a.test, methods: [GET], paths: [/x]}"},
		"two methods of one path": {[]nacre.Event{denied("network.request", "GET https://a.test:443/x", ""), denied("network.request", "HEAD https://a.test:443/x", "")},
			"{host: a.test, methods: [GET, HEAD], paths: [/x]}"},
		"a port": {[]nacre.Event{denied("network.request", "GET http://a.test:8080/x", "")}, `{host: a.test, ports: [8080], scheme: http, methods: [GET], paths: [/x]}`},
		"a path that is a pattern": {[]nacre.Event{denied("network.request", "GET https://a.test:443/x/*", "")},
			`{host: a.test, methods: [GET], paths: ["/**"]}`},
		"git": {[]nacre.Event{denied("network.request", "FETCH https://a.test:443/o/r/info/refs", ""), denied("network.request", "FETCH https://a.test:443/o/r/git-upload-pack", "")},
			`{host: a.test, paths: ["/o/r/**"], access: git}`},
		"a push": {[]nacre.Event{denied("network.request", "PUSH ssh://a.test:22/o/r/git-receive-pack", "refs/heads/x")},
			`{host: a.test, scheme: ssh, paths: ["/o/r/**"], push: [refs/heads/x], access: git}`},
		"a connection only":   {[]nacre.Event{denied("network.connect", "tcp://a.test:5432", "")}, ""},
		"a look-up only":      {[]nacre.Event{denied("network.name", "a.test.", "")}, ""},
		"an address":          {[]nacre.Event{denied("network.request", "GET http://10.0.0.1:80/", "")}, ""},
		"a packet":            {[]nacre.Event{denied("network.packet", "udp://9.9.9.9:53", "")}, ""},
		"what is no request":  {[]nacre.Event{denied("network.request", "the gateway's own port", "")}, ""},
		"a method of its own": {[]nacre.Event{denied("network.request", "get https://a.test:443/x", "")}, ""},
	} {
		text, m := propose(t, nil, c.events...)
		var live []string
		for line := range strings.Lines(text) {
			if entry, ok := strings.CutPrefix(line, "  - "); ok {
				live = append(live, strings.TrimSpace(entry))
			}
		}
		if got := strings.Join(live, "\n"); got != c.want || len(m.Network) != len(live) {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// TestManyPaths: more paths than an owner reads become the folder that they are in.
func TestManyPaths(t *testing.T) {
	var list []nacre.Event
	for i := range 40 {
		list = append(list, denied("network.request", fmt.Sprintf("GET https://a.test:443/v1/users/%d/x", i), ""))
	}
	text, _ := propose(t, nil, list...)
	if !strings.Contains(text, "paths: [\"/v1/users/**\"]") || !strings.Contains(text, "# 40 times") {
		t.Error(text)
	}
}

// TestHostile: nothing that a program names becomes a line.
func TestHostile(t *testing.T) {
	bad := "\n  - {host: evil.test}\n\u2028\x1b[31m\u0085"
	text, m := propose(t, []denials.Denial{
		{Decision: nacre.Decision{Subject: "ptrace", Remedy: "syscalls: [debug]"}, Count: 3, Programs: []string{"/tmp/" + bad}},
		{Decision: nacre.Decision{Subject: "kexec_load"}, Count: 1, Programs: []string{bad}},
	}, denied("network.name", bad, ""), denied("network.request", "GET https://a.test:443/"+bad, ""), denied("network.connect", "tcp://"+bad+":1", ""),
		denied("network.packet", bad, bad), denied("network.request", "PUSH https://a.test:443/r/git-receive-pack", "refs/heads/"+bad))
	for _, n := range m.Network {
		if n.Host != "a.test" {
			t.Errorf("%+v", n)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "\n  - {host: evil") || len(m.Syscalls) != 1 {
		t.Error(text)
	}
	p := &Proposal{Name: "x", Command: []string{bad}, Folder: ".", Written: []string{bad}, Read: []string{bad}, Write: true}
	again, err := manifest.Parse("proposal", p.Manifest())
	if err != nil || again.Command[0] != bad || len(again.Network) != 0 || len(again.Files) != 1 {
		t.Errorf("%v\n%s", err, p.Manifest())
	}
}

// TestRecordFirst: what the audit did not take was not learned.
func TestRecordFirst(t *testing.T) {
	l := &Log{Audit: ledger{errors.New("full")}}
	p := &Proposal{}
	if err := l.Record(context.Background(), denied("network.name", "a.test", "")); err == nil {
		t.Error("no error")
	}
	if l.Into(p, nil); len(p.Network) != 0 {
		t.Errorf("%+v", p.Network)
	}
}

// TestRoomForAll: a program that goes everywhere does not fill the memory.
func TestRoomForAll(t *testing.T) {
	var list []nacre.Event
	for i := range 2 * maxDestinations {
		list = append(list, denied("network.request", fmt.Sprintf("GET https://h%d.test:443/", i), ""))
	}
	text, m := propose(t, nil, list...)
	if len(m.Network) != maxDestinations || !strings.Contains(text, "1000 attempts to reach many other") {
		t.Error(len(m.Network))
	}
}

// TestScratch: the copy holds what may be seen, and tells what was done to it.
func TestScratch(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"a": "a", "b": "b", "same": "s", "gone": "g", "hidden": "h", "dir/c": "c", "secret/d": "d"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(from, filepath.Dir(name)), 0o755), os.WriteFile(filepath.Join(from, name), []byte(text), 0o640)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	s, err := Copy(from, to, func(name string) bool { return name == "hidden" || name == "secret" })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"hidden", "secret"} {
		if _, err := os.Lstat(filepath.Join(to, name)); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
	if at, err := os.Readlink(filepath.Join(to, "link")); err != nil || at != "/etc/passwd" {
		t.Errorf("the link: %s, %v", at, err)
	}
	info, err := os.Stat(filepath.Join(to, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(to, "a"), []byte("A"), 0o640), os.Chtimes(filepath.Join(to, "a"), info.ModTime(), info.ModTime()),
		os.Remove(filepath.Join(to, "gone")), os.WriteFile(filepath.Join(to, "dir/new"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	written, _, err := s.Changes()
	if want := []string{"a", "gone", "dir/new"}; err != nil || !slices.Equal(written, want) {
		t.Errorf("%v %v", written, err)
	}
}
