// Package programs gives tests the programs of this tree, built once.
package programs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Dir is a folder with nacre and the programs beside it: the one that
// $NACRE_BIN names, else a new one. Call remove at the end of TestMain.
func Dir() (dir string, remove func(), err error) {
	if dir := os.Getenv("NACRE_BIN"); dir != "" {
		return dir, func() {}, nil
	}
	return build("nacre/cmd/nacre", "nacre/cmd/nacre-init", "nacre/cmd/nacre-image", "nacre/cmd/nacre-gateway", "nacre/cmd/nacre-bridge", "nacre/cmd/nacre-harness", "nacre/cmd/nacre-attack")
}

// WithAssistant is the same with nacre-assistant, which takes a minute to build the
// first time.
func WithAssistant() (dir string, remove func(), err error) {
	if dir, remove, err = Dir(); err != nil || os.Getenv("NACRE_BIN") != "" {
		return dir, remove, err
	}
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err == nil {
		module := filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "cmd/nacre-assistant")
		err = compile(dir, "-C", module, ".")
	}
	if err != nil {
		remove()
	}
	return dir, remove, err
}

// build builds programs into a new folder.
func build(args ...string) (dir string, remove func(), err error) {
	if dir, err = os.MkdirTemp("", "nacre-programs-"); err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if err := compile(dir, args...); err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// compile builds programs into a folder.
func compile(dir string, args ...string) error {
	in := []string{}
	if args[0] == "-C" {
		in, args = args[:2], args[2:]
	}
	build := exec.Command("go", slices.Concat([]string{"build"}, in, []string{"-buildvcs=false", "-trimpath", "-o", dir + "/"}, args)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	err := build.Run()
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names { // nacre refuses programs that others can write to
		err = errors.Join(err, os.Chmod(name, 0o755))
	}
	return err
}

// Needs skips a test where a program of the machine's is missing.
func Needs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s: %v", name, err)
		}
	}
}

// Tiers are the lower tiers that are accepted in tests: those that
// $NACRE_TEST_ACCEPT lists, else what a plain user may lack: where a machine has
// more to offer, accepting changes nothing.
func Tiers() (flags []string) {
	if list, set := os.LookupEnv("NACRE_TEST_ACCEPT"); set {
		for _, name := range strings.Fields(list) {
			flags = append(flags, "--accept", name)
		}
		return flags
	}
	if os.Geteuid() == 0 {
		return nil
	}
	return []string{"--accept", "limits-watchdog", "--accept", "owner-uid"}
}

// Home is a home folder that outlives no test; its path leads through no link.
func Home(t testing.TB) string {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return home
}
