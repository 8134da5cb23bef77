package build

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/sandbox"
	"nacre/sandbox/blueprint"
)

const rounds = 10_000

// TestSwap swaps a granted folder for a symbolic link to a secret one, as fast
// as it can, while the folder is checked and mounted ten thousand times. What
// is mounted must be what was checked, or nothing.
func TestSwap(t *testing.T) {
	if os.Getenv("NACRE_TEST_SWAP") == "" {
		again(t, "TestSwap")
		return
	}
	dir := os.Getenv("NACRE_TEST_SWAP")
	if err := os.Chdir("/"); err != nil { // as collect does
		t.Fatal(err)
	}
	granted, link := filepath.Join(dir, "granted"), filepath.Join(dir, "link")
	var stop atomic.Bool
	var swaps atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if unix.Renameat2(unix.AT_FDCWD, granted, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}()
	mounted, refused := 0, 0
	for range rounds {
		if swapRound(t, granted) {
			mounted++
		} else {
			refused++
		}
	}
	stop.Store(true)
	<-done
	t.Logf("%d swaps; %d times mounted, %d times refused", swaps.Load(), mounted, refused)
	if mounted == 0 || refused == 0 || swaps.Load() < 1000 {
		t.Error("the race was not run: nothing is shown")
	}
}

// swapRound checks and mounts once, and looks at what it got.
func swapRound(t *testing.T, granted string) bool {
	pin, err := sandbox.OpenPin(granted)
	if err != nil {
		return false
	}
	defer pin.File.Close()
	if !pin.Dir {
		return false
	}
	fd, err := detach(blueprint.Entry{FD: int(pin.File.Fd()), Host: granted, Dir: true})
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstatat(fd, "secret", &st, 0) == nil || unix.Fstatat(fd, "public", &st, 0) != nil {
		t.Fatal("the secret folder was mounted")
	}
	return true
}

// again runs one test of this binary in a user and mount namespace of its own.
func again(t *testing.T, name string) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"granted/public", "hidden/secret"} {
		if err := os.MkdirAll(filepath.Join(dir, f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "hidden"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), "NACRE_TEST_SWAP="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "swaps;") {
		t.Fatalf("did not run:\n%s", out)
	}
	t.Logf("%s", out)
}
