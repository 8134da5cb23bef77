package native

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
)

// TestSharedMounts: under systemd the host's mounts are shared. Nothing that is
// laid over a granted folder inside may appear outside, and nothing that is
// mounted outside later may appear inside.
func TestSharedMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a plain user's folders are cloned from the sandbox's own, private mounts")
	}
	if os.Getenv("NACRE_TEST_SHARED") != "" {
		checkShared(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestSharedMounts$", "-test.v")
	cmd.Env = append(os.Environ(), "NACRE_TEST_SHARED=1", "NACRE_INIT="+initPath)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSharedMounts") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// checkShared runs in a mount namespace of its own that is like a host's.
func checkShared(t *testing.T) {
	for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			t.Fatal(err)
		}
	}
	dir := project(t)
	for _, name := range []string{".git/hooks", "later"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := mountsHere(t)
	e, _ := newEngine(t)
	box, err := e.Start(context.Background(), granted(t, dir, nacre.Write, "sleep", "60"), nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	if during := mountsHere(t); !slices.Equal(before, during) {
		t.Errorf("mounts before:\n%s\nduring:\n%s", strings.Join(before, "\n"), strings.Join(during, "\n"))
	}
	later := filepath.Join(dir, "later")
	if err := unix.Mount("tmpfs", later, "tmpfs", 0, "mode=0777"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(later, "secret"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	exit, err := box.Exec(context.Background(), []string{"test", "-e", "later/secret"}, nacre.Streams{})
	if err != nil || exit.Code != 1 {
		t.Errorf("what was mounted later is seen inside: %+v, %v", exit, err)
	}
	if err := unix.Unmount(later, 0); err != nil {
		t.Error(err)
	}
	if err := box.Stop(time.Second); err != nil {
		t.Error(err)
	}
	if after := mountsHere(t); !slices.Equal(before, after) {
		t.Errorf("%d mounts before, %d after", len(before), len(after))
	}
}

func mountsHere(t *testing.T) (points []string) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		points = append(points, strings.Join(strings.Fields(line)[3:6], " "))
	}
	slices.Sort(points)
	return points
}
