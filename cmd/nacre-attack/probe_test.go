package main

import (
	"errors"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func TestEveryProbeIsDescribed(t *testing.T) {
	classes := []string{"descriptors", "kernel", "others", "network", "exhaustion", "afterwards", "information", "egress"}
	form := regexp.MustCompile(`^[a-z]+\.[a-z0-9-]+$`)
	need := regexp.MustCompile(`^(path:/|arch:|canary:|value:)`)
	seen, perClass := map[string]bool{}, map[string]int{}
	for _, p := range probes() {
		s := p.spec()
		if !form.MatchString(s.ID) || seen[s.ID] || !slices.Contains(classes, s.Class) {
			t.Errorf("id %q: malformed, or there twice", s.ID)
		}
		seen[s.ID] = true
		perClass[s.Class]++
		for what, text := range map[string]string{"reference": s.Reference, "mechanism": s.Mechanism, "contained": s.Contained} {
			if len(text) < 4 {
				t.Errorf("%s has no %s", s.ID, what)
			}
		}
		if p.run == nil || s.Timeout <= 0 {
			t.Errorf("%s cannot run", s.ID)
		}
		for _, n := range s.Needs {
			if !need.MatchString(n) {
				t.Errorf("%s needs %q", s.ID, n)
			}
		}
		if s.Safe && s.Class == "exhaustion" {
			t.Errorf("%s is a bomb and calls itself safe", s.ID)
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d probes", len(seen))
	}
	for _, c := range classes {
		if perClass[c] < 5 {
			t.Errorf("only %d probes of class %s", perClass[c], c)
		}
	}
}

func TestDoors(t *testing.T) {
	for _, c := range []struct {
		err  error
		past []error
		want wire.Verdict
	}{
		{nil, nil, wire.Escaped},
		{unix.EPERM, nil, wire.Contained},
		{unix.EINVAL, []error{unix.EINVAL}, wire.Escaped},
		{unix.EPERM, []error{unix.EINVAL}, wire.Contained},
		{errors.New("other"), nil, wire.Contained},
	} {
		var d doors
		d.tried("x", unix.EPERM)
		d.tried("y", c.err, c.past...)
		if got := d.outcome().verdict; got != c.want {
			t.Errorf("%v with %v: %s", c.err, c.past, got)
		}
	}
}

func TestStolenFindsOnlyASecret(t *testing.T) {
	c := &wire.Config{Tag: "mine"}
	secret := wire.SecretPrefix + "mine-x-0123abc"
	if o, ok := stolen(c, "x", []byte("a="+secret+"\x00b")); !ok || o.secret != secret {
		t.Errorf("%q", o.secret)
	}
	if o, ok := stolen(c, "x", []byte(wire.SecretPrefix+"mine-"+strings.Repeat("a", 10000))); !ok || len(o.secret) > 120 {
		t.Errorf("%d bytes", len(o.secret))
	}
	if _, ok := stolen(c, "x", []byte("nacre")); ok {
		t.Error("found one in nothing")
	}
	if _, ok := stolen(c, "x", []byte(wire.SecretPrefix+"theirs-x-0123abc")); ok {
		t.Error("took another run's")
	}
}

func TestRawForks(t *testing.T) {
	if done, err := inFork(0, step{"getpid", unix.SYS_GETPID, [5]uintptr{}}, step{"close", unix.SYS_CLOSE, [5]uintptr{^uintptr(0)}}); done != 1 || err != unix.EBADF {
		t.Errorf("%d steps, %v", done, err)
	}
	pid, errno := forkSleeper(uintptr(unix.SIGCHLD))
	if errno != 0 {
		t.Fatal(errno)
	}
	unix.Kill(int(pid), unix.SIGKILL)
	if status := reap(int(pid), 5e9); status.Signal() != unix.SIGKILL {
		t.Errorf("the sleeper ended with %v", status)
	}
}

// TestEveryVectorHasAProbe: docs/ATTACK.md lists what is attacked, and with
// which probes: none of them is made up, and no probe is missing.
func TestEveryVectorHasAProbe(t *testing.T) {
	text, err := os.ReadFile("../../docs/ATTACK.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "| vector | probes |\n|---|---|\n")
	if !ok {
		t.Fatal("docs/ATTACK.md has no table of vectors")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	missing := map[string]bool{}
	for _, p := range probes() {
		missing[p.id] = true
	}
	named := regexp.MustCompile("`([a-z]+\\.[a-z0-9*-]+)`")
	rows := 0
	for row := range strings.Lines(table) {
		found := named.FindAllStringSubmatch(row, -1)
		if rows++; len(found) == 0 {
			t.Errorf("no probe: %s", row)
		}
		for _, name := range found {
			hit := false
			for _, p := range probes() {
				if ok, _ := path.Match(name[1], p.id); ok {
					hit = true
					delete(missing, p.id)
				}
			}
			if !hit {
				t.Errorf("there is no probe %s", name[1])
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d vectors", rows)
	}
	for id := range missing {
		t.Errorf("%s attacks no vector of the table", id)
	}
}
