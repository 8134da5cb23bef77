package posture

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// made is a reader of a /proc folder made of files.
func made(t *testing.T, files map[string]string) *reader {
	t.Helper()
	r := &reader{proc: t.TempDir()}
	for name, content := range files {
		file := filepath.Join(r.proc, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// wrong lists the items that are not as expected.
func (r *reader) wrong() string {
	var items []string
	for _, l := range r.list {
		if !l.OK {
			items = append(items, l.Item)
		}
	}
	return strings.Join(items, ", ")
}

const confined = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n" +
	"CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"

// TestStatusLines: each line of status counts by itself.
func TestStatusLines(t *testing.T) {
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	more := map[string]string{"0": "1", "1": "2"}[told(string(own), "Seccomp_filters")]
	if more == "" {
		t.Skip("needs Linux 5.9 and at most one filter on this process")
	}
	good := confined + "Seccomp_filters:\t" + more + "\n"
	for change, want := range map[string]string{
		"":                          "",
		"CapInh:\t0000000000000000": "CapInh", "CapPrm:\t0000000000000000": "CapPrm", "CapEff:\t0000000000000000": "CapEff",
		"CapBnd:\t0000000000000000": "CapBnd", "CapAmb:\t0000000000000000": "CapAmb",
		"NoNewPrivs:\t1": "NoNewPrivs", "Seccomp:\t2": "mode", "Seccomp_filters:\t" + more: "filters",
	} {
		for _, now := range []string{"", strings.TrimRight(change, "0123456789") + "0000000000000009"} {
			r := made(t, map[string]string{"status": strings.Replace(good, change, now, min(len(change), 1))})
			if r.status(); r.wrong() != want {
				t.Errorf("%q in place of %q: %q is wrong, want %q", now, change, r.wrong(), want)
			}
		}
	}
}

// TestLimitLines: every limit that a sandbox has is known by its name.
func TestLimitLines(t *testing.T) {
	names := map[int]string{
		unix.RLIMIT_NOFILE: "Max open files", unix.RLIMIT_NPROC: "Max processes", unix.RLIMIT_CORE: "Max core file size",
		unix.RLIMIT_MEMLOCK: "Max locked memory", unix.RLIMIT_MSGQUEUE: "Max msgqueue size",
		unix.RLIMIT_SIGPENDING: "Max pending signals", unix.RLIMIT_NICE: "Max nice priority", unix.RLIMIT_RTPRIO: "Max realtime priority",
	}
	own := &reader{proc: "/proc/self"}
	text := own.file("limits")
	for resource, name := range names {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			text  string
			value uint64
			want  string
		}{{text, now.Cur, ""}, {text, now.Cur + 1, name}, {"", now.Cur, ""}, {"Limit\n", now.Cur, ""}} {
			r := made(t, map[string]string{"limits": c.text})
			r.limits([]blueprint.Rlimit{{Resource: resource, Value: c.value}})
			bad := now.Cur != now.Max || now.Cur == unix.RLIM_INFINITY || c.text != text // not as a sandbox has them
			if len(r.list) != 1 || r.list[0].OK != (c.want == "" && !bad) || c.text == text && r.list[0].Item != name {
				t.Errorf("%s: %+v, of %+v", name, r.list, now)
			}
		}
	}
}

// TestNetwork: nothing but a loopback, in the state that the plan says.
func TestNetwork(t *testing.T) {
	const head = "Inter-|   Receive\n face |bytes\n"
	for _, c := range []struct {
		dev, trie, want string
		up              bool
	}{
		{"    lo:  0 0\n", "Main:\n  127.0.0.1\n", "", true},
		{"    lo:  0 0\n", "", "", false},
		{"    lo:  0 0\n", "", "loopback up", true},
		{"    lo:  0 0\n", "Local:\n 127.0.0.1", "loopback up", false},
		{"    lo:  0 0\n  eth0: 0\n", "127.0.0.1", "interfaces", true},
		{"", "127.0.0.1", "interfaces", true},
	} {
		r := made(t, map[string]string{"net/dev": head + c.dev, "net/fib_trie": c.trie})
		if r.network(c.up); r.wrong() != c.want {
			t.Errorf("%+v: %q is wrong", c, r.wrong())
		}
	}
	if r := made(t, nil); true {
		if r.network(false); r.wrong() != "interfaces" {
			t.Errorf("nothing to read: %q is wrong", r.wrong())
		}
	}
}

// TestMounts: none missing, none beside, none wider.
func TestMounts(t *testing.T) {
	want := []blueprint.Entry{
		{Form: blueprint.Private, Path: "/"}, {Form: blueprint.Private, Path: "/tmp", Write: true}, {Form: blueprint.Tree, Path: "/dev/null", Device: true},
		{Form: blueprint.Tree, Path: "/work", Write: true}, {Form: blueprint.Guard, Path: "/work/.git", Write: true}, {Form: blueprint.Mask, Path: "/work/.env"},
		{Form: blueprint.File, Path: "/etc/hosts"}, {Form: blueprint.Mask, Path: "/absent/here", Optional: true},
	}
	lines := map[string]string{
		"/": "ro,nosuid,nodev", "/tmp": "rw,nosuid,nodev", "/dev/null": "ro,nosuid", "/work/sub": "rw,nosuid,nodev",
		"/work": "rw,nosuid,nodev", "/work/.git": "rw,nosuid,nodev", "/work/.env": "ro,nosuid,nodev",
	}
	for _, c := range []struct{ path, options, more, want string }{
		{"/work/sub", "", "", ""}, // may be missing
		{"/work/sub", "ro,nosuid,nodev", "", ""},
		{"/", "rw,nosuid,nodev", "", "/"},
		{"/tmp", "ro,nosuid,nodev", "", "/tmp"},
		{"/tmp", "", "", "/tmp"},
		{"/work/.env", "", "", "masks, guards, all others"},
		{"/work/.env", "rw,nosuid,nodev", "", "masks, guards, all others"},
		{"/work/.git", "", "", "masks, guards, all others"},
		{"/tmp", "rw,nodev", "", "masks, guards, all others"},
		{"/tmp", "rw,nosuid", "", "masks, guards, all others"},
		{"/tmp", "rw,nosuid,nodev", "1 1 0:1 / /tmp rw,nosuid,nodev - tmpfs t rw\n", "masks, guards, all others"},
		{"/tmp", "rw,nosuid,nodev", "1 1 0:1 / /srv ro,nosuid,nodev - tmpfs t rw\n", "masks, guards, all others"},
		{"/tmp", "rw,nosuid,nodev", "1 1 0:1 / /work/sub/sub ro,nosuid,nodev - tmpfs t rw\n", "masks, guards, all others"},
		{"/tmp", "rw,nosuid,nodev", "nonsense\n", "/, /tmp, /dev/null, /work, masks, guards, all others"},
	} {
		text := c.more
		for path, options := range lines {
			if path == c.path {
				options = c.options
			}
			if options != "" {
				text += "1 1 0:1 / " + path + " " + options + " - tmpfs t rw\n"
			}
		}
		r := made(t, map[string]string{"mountinfo": text})
		if r.mounts(slices.Clone(want), []string{"/work/sub"}); r.wrong() != c.want {
			t.Errorf("%+v: %q is wrong", c, r.wrong())
		}
	}
}
