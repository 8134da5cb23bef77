package packaging

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre/test/vm/machine"
)

// parser is a command that reads AppArmor 4.0's language: this machine's
// apparmor_parser or, where the long tests run, that of a newer Debian.
func parser(t *testing.T) []string {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(probe, []byte("abi <abi/4.0>,\nprofile probe { userns, }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	quiet := []string{"--skip-kernel-load", "--skip-cache"}
	for _, name := range []string{"apparmor_parser", "/usr/sbin/apparmor_parser"} {
		if exec.Command(name, append(quiet, probe)...).Run() == nil {
			return append([]string{name}, quiet...)
		}
	}
	if os.Getenv("NACRE_RELEASE") == "" {
		t.Skip("needs apparmor_parser 4.0 or newer, or NACRE_RELEASE=1, which fetches one")
	}
	dir := t.TempDir()
	if err := machine.Unpack(context.Background(), "trixie", dir, "apparmor", "libapparmor1", "libc6", "libstdc++6", "libgcc-s1"); err != nil {
		t.Skipf("needs apparmor_parser 4.0 or newer: %v", err)
	}
	libraries, _ := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-gnu"))
	loaders, _ := filepath.Glob(filepath.Join(dir, "usr/lib*/ld-linux-*"))
	if len(libraries) != 1 || len(loaders) == 0 {
		t.Fatalf("found %q and %q", libraries, loaders)
	}
	return append([]string{loaders[0], "--library-path", libraries[0], filepath.Join(dir, "usr/sbin/apparmor_parser"), "--base", filepath.Join(dir, "etc/apparmor.d")}, quiet...)
}

// TestProfileParses: AppArmor's own parser reads the profile, by its name and
// with what it is there for; a fault in it is found.
func TestProfileParses(t *testing.T) {
	run := func(args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		return string(out), err
	}
	with := parser(t)
	profile, err := filepath.Abs("apparmor/nacre")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(append(slices.Clone(with), "--names", profile)...); err != nil || !strings.Contains("\n"+out, "\nnacre\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(append(slices.Clone(with), "--debug", profile)...); err != nil || !strings.Contains(out, "userns,") || !strings.Contains(out, "unconfined") {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(text), "  userns,", "  userns nonsense,", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(append(slices.Clone(with), broken)...); err == nil {
		t.Errorf("a broken profile is read: %s", out)
	}
}
