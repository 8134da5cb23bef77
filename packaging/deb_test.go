package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nacre/test/programs"
)

// debianPackage: its files work from where dpkg puts them; as root it is also
// installed into a root of its own and removed from it, twice: without AppArmor,
// and with a parser that can read the profile.
func debianPackage(t *testing.T, dist string) {
	file := filepath.Join(dist, "nacre_"+debian+"_amd64.deb")
	dir := programs.Home(t)
	command(t, nil, "dpkg-deb", "-x", file, dir)
	works(t, filepath.Join(dir, "usr"))
	for line := range strings.Lines(command(t, nil, "dpkg-deb", "-c", file)) {
		if !strings.Contains(line, " root/root ") || strings.HasPrefix(line[5:], "w") {
			t.Error(line)
		}
	}
	if os.Geteuid() != 0 {
		t.Log("needs root: dpkg --root was not tried")
		return
	}
	for _, parses := range []bool{false, true} {
		root := smallRoot(t, parses)
		before := ours(t, root)
		dpkg := func(args ...string) {
			command(t, nil, "dpkg", append([]string{"--root=" + root, "--log=/dev/null"}, args...)...)
		}
		dpkg("-i", file)
		works(t, filepath.Join(root, "usr"))
		_, err := os.Stat(filepath.Join(root, "etc/apparmor.d/nacre"))
		if (err == nil) != parses {
			t.Errorf("the parser reads the profile: %v; is it there? %v", parses, err)
		}
		dpkg("-i", file) // again, as an update does
		dpkg("-r", "nacre")
		if after := ours(t, root); !slices.Equal(before, after) {
			t.Errorf("before %q, after removal %q", before, after)
		}
		if _, err := os.Stat(filepath.Join(root, "usr")); err == nil {
			t.Error("folders of the package are left")
		}
		dpkg("--purge", "nacre")
		if state := command(t, nil, "dpkg-query", "--admindir="+root+"/var/lib/dpkg", "-W"); state != "" {
			t.Errorf("dpkg still knows %s", state)
		}
	}
}

// ours are the files that a root holds besides dpkg's own.
func ours(t *testing.T, root string) []string {
	return slices.DeleteFunc(listing(t, root), func(name string) bool {
		st, err := os.Lstat(filepath.Join(root, name))
		return strings.HasPrefix(name, "var/") || err == nil && st.IsDir()
	})
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// smallRoot is a root with what the package's scripts call, and an AppArmor
// parser that can read everything or nothing.
func smallRoot(t *testing.T, parses bool) string {
	t.Helper()
	root := programs.Home(t)
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "etc/apparmor.d", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "rm", "install", "cat"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		place(t, path, filepath.Join(root, "bin", name), 0o755)
		for _, m := range library.FindAllStringSubmatch(command(t, nil, "ldd", path), -1) {
			place(t, m[1], filepath.Join(root, m[1]), 0o755)
		}
	}
	answer := map[bool]string{true: "exit 0", false: "exit 1"}[parses]
	for name, text := range map[string]string{"var/lib/dpkg/status": "", "dev/null": "", "bin/apparmor_parser": "#!/bin/sh\n" + answer + "\n"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
