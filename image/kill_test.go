package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nacre/fault"
)

func syscallMkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

// TestMain is, in the process that TestKilled kills, one Prepare.
func TestMain(m *testing.M) {
	dir, ref := os.Getenv("IMAGE_TEST_DIR"), os.Getenv("IMAGE_TEST_REF")
	if dir == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("IMAGE_TEST_TMPFS") != "" {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=700"); err != nil {
			os.Stdout.WriteString("cannot mount: " + err.Error())
			os.Exit(0)
		}
	}
	s, err := Open(dir, Options{})
	if err == nil {
		_, err = prepare(s, ref)
	}
	if err != nil {
		left, _ := filepath.Glob(dir + "/*")
		fmt.Printf("%s: %v; left: %q", fault.KindOf(err), err, left)
		os.Exit(1)
	}
}

// A full disk is a clear fault, and what was unpacked until then goes again.
func TestDiskFull(t *testing.T) {
	img, _ := twoHalves(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IMAGE_TEST_TMPFS=1", "IMAGE_TEST_DIR="+dir, "IMAGE_TEST_REF=layout:"+writeLayout(t, img))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := cmd.Output()
	if cmd.Process == nil || strings.HasPrefix(string(out), "cannot mount") {
		t.Skipf("needs a user namespace with a tmpfs of its own: %v %s", err, out)
	}
	want := fmt.Sprintf("left: %q", []string{dir + "/locks"})
	if s := string(out); !strings.HasPrefix(s, "exhausted: ") || !strings.Contains(s, "no space left") || !strings.HasSuffix(s, want) {
		t.Errorf("got %s", s)
	}
}

func temporary(t *testing.T, s *Store) []string {
	var list []string
	for _, name := range names(t, s.dir) {
		if strings.HasPrefix(name, tempPrefix) {
			list = append(list, name)
		}
	}
	return list
}

// kill -9 in the middle of unpacking leaves a temporary folder, which nobody
// takes for an image, which a living neighbour's run leaves alone and the next
// run after the death removes.
func TestKilled(t *testing.T) {
	reg, s := serve(t), store(t, Options{})
	img, raw := twoHalves(t)
	ref := reg.push(t, img)
	var once sync.Once
	reached := make(chan struct{})
	slow(t, reg, raw, func() { once.Do(func() { close(reached) }) })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IMAGE_TEST_DIR="+s.dir, "IMAGE_TEST_REF="+ref)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	<-reached
	wantFile(t, s) // it is in the middle

	other := mustPrepare(t, s, "layout:"+writeLayout(t, simple(t, "one")))
	if len(temporary(t, s)) != 1 {
		t.Error("a living process's folder was swept away")
	}
	cmd.Process.Kill()
	cmd.Wait()
	ended = true
	if left := temporary(t, s); len(left) != 1 {
		t.Fatalf("left: %q", left)
	}
	if list, err := s.List(); err != nil || len(list) != 1 || list[0].Digest != other.Digest {
		t.Errorf("%+v, %v", list, err)
	}
	reg.before.Store(intercept(nil))
	r := mustPrepare(t, s, ref)
	wantNothingTemporary(t, s)
	if got := tree(t, r.Path); len(got) != 2 || len(got["second"]) != 2<<20 {
		t.Errorf("incomplete: %d files", len(got))
	}
}

// wantFile waits until the other process has written something.
func wantFile(t *testing.T, s *Store) {
	t.Helper()
	for range 1000 {
		found, _ := filepath.Glob(filepath.Join(s.dir, tempPrefix+"*", rootfsName, "first"))
		if len(found) == 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the other process unpacks nothing")
}
