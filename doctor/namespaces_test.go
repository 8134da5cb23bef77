package doctor

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestUserNamespaces: each switch that closes them is found, with its remedy,
// and only for whom it is closed.
func TestUserNamespaces(t *testing.T) {
	const label, old = "proc/self/attr/apparmor/current", "proc/self/attr/current"
	const most, clone = "proc/sys/user/max_user_namespaces", "proc/sys/kernel/unprivileged_userns_clone"
	for _, c := range []struct {
		name, program string
		root, ok      bool
		files         map[string]string
		says          string // in what was found or the remedy
	}{
		{name: "nothing in the way", ok: true, files: map[string]string{most: "100\n"}, says: "available"},
		{name: "none at all", root: true, files: map[string]string{most: "0\n"}, says: "max_user_namespaces=10000"},
		{name: "Debian's switch", files: map[string]string{clone: "0\n"}, says: "unprivileged_userns_clone=1"},
		{name: "Debian's switch, root", root: true, ok: true, files: map[string]string{clone: "0\n"}},
		{name: "not restricted", ok: true, files: map[string]string{restriction: "0\n", label: "unconfined\n"}},
		{name: "restricted, root", root: true, ok: true, files: map[string]string{restriction: "1\n", label: "unconfined\n"}},
		{name: "restricted, nothing installed", program: "/home/u/bin/nacre", files: map[string]string{restriction: "1\n", label: "unconfined\n"},
			says: "\ninstall -m 644 packaging/apparmor/nacre /etc/apparmor.d/nacre; add /home/u/bin/nacre to the line"},
		{name: "restricted, profile beside", program: "/usr/local/bin/nacre",
			files: map[string]string{restriction: "1\n", old: "unconfined\n", "usr/local/share/nacre/apparmor/nacre": ""},
			says:  "install -m 644 /usr/local/share/nacre/apparmor/nacre /etc/apparmor.d/nacre; apparmor_parser -r /etc/apparmor.d/nacre"},
		{name: "restricted, profile not loaded", program: "/usr/bin/nacre", files: map[string]string{restriction: "1\n", label: "unconfined\n", profile: ""},
			says: "apparmor_parser -r /etc/apparmor.d/nacre"},
		{name: "restricted, profile for another place", program: "/home/u/.local/bin/nacre",
			files: map[string]string{restriction: "1\n", label: "unconfined\n", profile: ""}, says: "\nadd /home/u/.local/bin/nacre to the line in it"},
		{name: "restricted, profile in force", program: "/usr/bin/nacre", ok: true, files: map[string]string{restriction: "1\n", label: "nacre (unconfined)\n"},
			says: "has the profile nacre"},
		{name: "restricted, label unreadable", files: map[string]string{restriction: "1\n"}, says: "no profile"},
	} {
		files := fstest.MapFS{"proc/self/ns/user": {}}
		for name, text := range c.files {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		got := machine{files, c.root, c.program}.userNamespaces()
		if got.OK != c.ok || got.OK != (got.Remedy == "") || !strings.Contains(got.Found+"\n"+got.Remedy, c.says) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if got := (machine{files: fstest.MapFS{}, root: true}).userNamespaces(); got.OK {
		t.Errorf("a kernel without them: %+v", got)
	}
}
