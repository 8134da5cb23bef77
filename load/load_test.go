package load

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

const agent = "version: 1\nname: a\n"
const rules = "version: 1\n"

// folder is a folder that only we can change, above it too: the test's own
// temporary folder lies in a sticky one.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if strings.HasPrefix(filepath.Base(d), "Test") || d == dir {
			must(t, os.Chmod(d, 0o755))
		}
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// Each makes what is at path; both readers must refuse it, and at once.
func TestWhatIsNoFile(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"folder":  {func(t *testing.T, p string) { must(t, os.Mkdir(p, 0o755)) }, "found a folder"},
		"fifo":    {func(t *testing.T, p string) { must(t, unix.Mkfifo(p, 0o644)) }, "found a fifo"},
		"device":  {func(t *testing.T, p string) { must(t, os.Symlink("/dev/zero", p)) }, "/dev"},
		"circle":  {func(t *testing.T, p string) { must(t, os.Symlink(p, p)) }, "circle"},
		"nothing": {func(t *testing.T, p string) { must(t, os.Symlink("nowhere", p)) }, "no such file"},
		"below a file": {func(t *testing.T, p string) {
			write(t, p+".d", "")
			must(t, os.Symlink(p+".d/x", p))
		}, "cannot be read"},
		"sparse": {func(t *testing.T, p string) { write(t, p, ""); must(t, os.Truncate(p, 1<<30)) }, "larger than 1 MiB"},
		"empty":  {func(t *testing.T, p string) { write(t, p, "") }, "empty"},
		"binary": {func(t *testing.T, p string) { write(t, p, "\x7fELF\x00") }, "binary"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folder(t), "f.yaml")
			c.make(t, path)
			done := make(chan error, 2)
			go func() {
				_, err := Manifest(path)
				done <- err
				_, err = Policy(path, os.Getuid(), nil)
				done <- err
			}()
			for range 2 {
				select {
				case err := <-done:
					if err == nil || !strings.Contains(err.Error(), c.want) && name != "device" {
						t.Errorf("got %v, want %q", err, c.want)
					}
				case <-time.After(20 * time.Second):
					t.Fatal("blocked")
				}
			}
		})
	}
}

func TestManifest(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "agent.yaml")
	if _, err := Manifest(path); fault.KindOf(err) != fault.NotFound {
		t.Errorf("missing: %v", err)
	}
	write(t, path, agent)
	must(t, os.Symlink(path, filepath.Join(dir, "link")))
	for _, p := range []string{path, filepath.Join(dir, "link")} {
		s, err := Manifest(p)
		if err != nil || s.Path != path || s.Manifest.Name != "a" || s.Digest != fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(agent))) {
			t.Errorf("%+v, %v", s, err)
		}
	}
	write(t, path, agent+"nmae: b\n")
	if _, err := Manifest(path); err == nil || !strings.HasPrefix(err.Error(), path+":3:1: ") {
		t.Errorf("got %v", err)
	}
}

func TestPolicy(t *testing.T) {
	me := os.Getuid()
	for name, c := range map[string]struct {
		change  func(t *testing.T, dir, path string)
		owner   int
		granted string
		want    string // empty: accepted
	}{
		"good":                 {owner: me},
		"readable by all":      {change: func(t *testing.T, _, p string) { must(t, os.Chmod(p, 0o644)) }, owner: me},
		"writable by group":    {change: func(t *testing.T, _, p string) { must(t, os.Chmod(p, 0o620)) }, owner: me, want: "can be written by others (mode 0620)"},
		"writable by others":   {change: func(t *testing.T, _, p string) { must(t, os.Chmod(p, 0o602)) }, owner: me, want: "can be written by others"},
		"folder, others":       {change: func(t *testing.T, d, _ string) { must(t, os.Chmod(d, 0o757)) }, owner: me, want: "can be written by others"},
		"folder, group":        {change: func(t *testing.T, d, _ string) { must(t, os.Chmod(d, 0o775)) }, owner: me, want: "can be written by others"},
		"folder, sticky":       {change: func(t *testing.T, d, _ string) { must(t, os.Chmod(d, 0o777|os.ModeSticky)) }, owner: me},
		"in a granted folder":  {owner: me, granted: ".", want: "lies in the granted folder"},
		"above is granted":     {owner: me, granted: "..", want: "lies in the granted folder"},
		"another is granted":   {owner: me, granted: "other"},
		"through a good link":  {change: func(t *testing.T, d, p string) { relink(t, p, filepath.Join(d, "real.yaml")) }, owner: me},
		"through a long chain": {change: func(t *testing.T, d, p string) { must(t, os.Remove(p)); chain(t, d, p) }, owner: me, want: "circle"},
		"link into an open folder": {change: func(t *testing.T, d, p string) {
			open := filepath.Join(d, "open")
			must(t, os.Mkdir(open, 0o755))
			must(t, os.Chmod(open, 0o777))
			relink(t, p, filepath.Join(open, "x"))
		}, owner: me, want: "can be written by others"},
		"link by an open folder": {change: func(t *testing.T, d, p string) {
			open := filepath.Join(d, "open")
			must(t, os.Mkdir(open, 0o755))
			must(t, os.Chmod(open, 0o777))
			must(t, os.Symlink("../real.yaml", filepath.Join(open, "l")))
			must(t, os.Rename(p, filepath.Join(d, "real.yaml")))
			must(t, os.Symlink("open/l", p))
		}, owner: me, want: "can be written by others"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(folder(t), "nacre")
			must(t, os.Mkdir(dir, 0o755))
			path := filepath.Join(dir, "policy.yaml")
			write(t, path, rules)
			if c.change != nil {
				c.change(t, dir, path)
			}
			var granted []string
			if c.granted != "" {
				granted = []string{filepath.Join(dir, c.granted)}
			}
			p, err := Policy(path, c.owner, granted)
			if c.want == "" && (err != nil || p == nil) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func relink(t *testing.T, path, real string) {
	t.Helper()
	must(t, os.Rename(path, real))
	must(t, os.Symlink(real, path))
}

func chain(t *testing.T, dir, path string) {
	t.Helper()
	next := path
	for i := range 45 {
		target := filepath.Join(dir, fmt.Sprint("l", i))
		must(t, os.Symlink(target, next))
		next = target
	}
	write(t, next, rules)
}

func TestPolicyOfAnother(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "policy.yaml")
	write(t, path, rules)
	if os.Getuid() == 0 {
		must(t, os.Chown(path, 12345, 12345))
	}
	if _, err := Policy(path, 54321, nil); err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("got %v", err)
	}
	if os.Getuid() == 0 {
		must(t, os.Chown(path, 0, 0))
		if _, err := Policy(path, 54321, nil); err != nil {
			t.Errorf("root's policy: %v", err)
		}
		must(t, os.Chown(dir, 12345, 12345))
		if _, err := Policy(path, 54321, nil); err == nil {
			t.Error("a policy in another's folder was accepted")
		}
	}
}

func TestMissingPolicy(t *testing.T) {
	dir := folder(t)
	for _, path := range []string{filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "a/b/policy.yaml")} {
		if p, err := Policy(path, os.Getuid(), nil); p != nil || err != nil {
			t.Errorf("%v, %v", p, err)
		}
	}
	must(t, os.Symlink("gone", filepath.Join(dir, "dangling")))
	if _, err := Policy(filepath.Join(dir, "dangling"), os.Getuid(), nil); err == nil {
		t.Error("a link to nothing is not a missing policy")
	}
	if os.Getuid() != 0 {
		must(t, os.Mkdir(filepath.Join(dir, "closed"), 0))
		if _, err := Policy(filepath.Join(dir, "closed/policy.yaml"), os.Getuid(), nil); err == nil {
			t.Error("a folder that cannot be searched is not a missing policy")
		}
	}
}

func TestPolicyPath(t *testing.T) {
	for _, c := range [][3]string{{"", "/home/u", "/home/u/.config/nacre/policy.yaml"}, {"/x", "/home/u", "/x/nacre/policy.yaml"}, {"x", "/home/u", "/home/u/.config/nacre/policy.yaml"}} {
		if got := PolicyPath(c[0], c[1]); got != c[2] {
			t.Errorf("PolicyPath(%q, %q) = %q", c[0], c[1], got)
		}
	}
}
