// Package packaging has the tests of what people install: the tree that make
// install copies, the Debian package, the archives.
package packaging

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre/test/programs"
)

// command runs a program in the tree's root and returns what it prints.
func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// place copies a file.
func place(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, content, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// listing is all that a folder holds, by name.
func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		names = append(names, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// works runs the nacre of a prefix: its version, the doctor, a sandbox. All that
// it writes is in a home of its own.
func works(t *testing.T, prefix string) {
	t.Helper()
	nacre := filepath.Join(prefix, "bin/nacre")
	home := programs.Home(t)
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "NACRE_BIN=", "NACRE_INIT="}
	if out := command(t, env, nacre, "version"); !strings.HasPrefix(out, "nacre ") {
		t.Errorf("nacre version: %s", out)
	}
	doctor := exec.Command(nacre, "doctor")
	doctor.Env = append(os.Environ(), env...)
	out, err := doctor.CombinedOutput()
	var exit *exec.ExitError
	if lacks := errors.As(err, &exit) && exit.ExitCode() == 1; err != nil && !lacks || !strings.Contains(string(out), "nacre-init: "+prefix+"/libexec/nacre/nacre-init") {
		t.Errorf("nacre doctor: %v\n%s", err, out)
	}
	command(t, env, nacre, append(append([]string{"run", "--quiet"}, programs.Tiers()...), "--", "true")...)
}

// TestOverrides: of each program, and of nothing else, the package says that it is
// linked statically on purpose. lintian itself only reads a release.
func TestOverrides(t *testing.T) {
	text, err := os.ReadFile("deb/lintian-overrides")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob("../cmd/*")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	const line = "nacre: statically-linked-binary [usr/"
	for _, f := range folders {
		place := "libexec/nacre/" + filepath.Base(f)
		if filepath.Base(f) == "nacre" {
			place = "bin/nacre"
		}
		if !strings.Contains(string(text), line+place+"]\n") {
			t.Errorf("nothing is said of %s", place)
		}
	}
	if n := strings.Count(string(text), line); n != len(folders) {
		t.Errorf("%d programs are named, there are %d", n, len(folders))
	}
}

// TestInstall: what scripts/install copies works from there; an update leaves
// nothing of the old version; removal leaves what was there before, and only that.
func TestInstall(t *testing.T) {
	bin, remove, err := programs.Dir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	tree, prefix := t.TempDir(), filepath.Join(programs.Home(t), "a prefix")
	files := []string{"share/nacre/files", "bin/nacre", "libexec/nacre/nacre-init", "libexec/nacre/nacre-attack", "share/man/man1/nacre.1.gz", "share/old/page"}
	for _, name := range files[1:4] {
		place(t, filepath.Join(bin, filepath.Base(name)), filepath.Join(tree, name), 0o775)
	}
	for _, name := range files[4:] {
		place(t, "packaging_test.go", filepath.Join(tree, name), 0o664)
	}
	list := func() {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(tree, "share/nacre"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, files[0]), []byte(strings.Join(files, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin/other", "share/man/man1/other.1"} {
		place(t, "packaging_test.go", filepath.Join(prefix, name), 0o644)
	}
	before := listing(t, prefix)

	list()
	command(t, nil, "scripts/install", tree, prefix)
	works(t, prefix)
	for _, name := range files {
		if st, err := os.Stat(filepath.Join(prefix, name)); err != nil || st.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}

	if err := os.RemoveAll(filepath.Join(tree, "share/old")); err != nil {
		t.Fatal(err)
	}
	files = files[:5]
	list()
	command(t, nil, "scripts/install", tree, prefix)
	if _, err := os.Stat(filepath.Join(prefix, "share/old")); err == nil {
		t.Error("something of the old version is still there")
	}

	command(t, nil, "scripts/install", "-r", prefix)
	if after := listing(t, prefix); !slices.Equal(before, after) {
		t.Errorf("before %q, after %q", before, after)
	}
	command(t, nil, "scripts/install", "-r", prefix) // nothing is there: nothing happens
}

// TestUninstallStaysInside: a list that was changed takes nothing away elsewhere.
func TestUninstallStaysInside(t *testing.T) {
	dir := t.TempDir()
	prefix, outside := filepath.Join(dir, "prefix"), filepath.Join(dir, "outside")
	place(t, "packaging_test.go", outside, 0o644)
	place(t, "packaging_test.go", filepath.Join(prefix, "share/nacre/files"), 0o644)
	if err := os.WriteFile(filepath.Join(prefix, "share/nacre/files"), []byte("../outside\nbin/../../outside\n"+outside+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("../scripts/install", "-r", prefix)
	_ = cmd.Run()
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}
