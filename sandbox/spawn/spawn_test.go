package spawn

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func file(t *testing.T, f *os.File, err error) *os.File {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// run starts a shell in new namespaces and returns what it writes.
func run(t *testing.T, script string, more ...*os.File) string {
	t.Helper()
	r, w, err := os.Pipe()
	file(t, r, err)
	null, err := os.Open(os.DevNull)
	file(t, null, err)
	var p Program
	p.Descriptors(append([]*os.File{null, w, w}, more...))
	p.Execute("/bin/sh", []string{"sh", "-c", script}, []string{"GIVEN=yes"})
	child, err := p.Start(unix.CLONE_NEWUSER|unix.CLONE_NEWPID|unix.CLONE_NEWNET|unix.CLONE_NEWNS, -1)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	if err := child.Kill(); err != nil {
		t.Errorf("killed after its end: %v", err)
	}
	return string(out)
}

func TestExecutes(t *testing.T) {
	t.Setenv("NOT_GIVEN", "secret")
	if out := run(t, `echo $GIVEN $NOT_GIVEN $$`); out != "yes 1\n" {
		t.Errorf("%q", out)
	}
}

// TestSignals: what is executed can be sent all signals.
func TestSignals(t *testing.T) {
	if out := run(t, `grep '^SigBlk:' /proc/self/status`); out != "SigBlk:\t0000000000000000\n" {
		t.Errorf("%q", out)
	}
}

// TestDescriptors: each file arrives at its place, whatever its number is here,
// even where places and numbers overlap.
func TestDescriptors(t *testing.T) {
	var files []*os.File
	for _, text := range []string{"a", "b", "c", "d"} {
		r, w, err := os.Pipe()
		file(t, r, err)
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		files = append(files, r)
	}
	files[0], files[3] = files[3], files[0]
	if out := run(t, "cat <&3 <&3; cat <&4; cat <&5; cat <&6", files...); out != "dbca" {
		t.Errorf("%q", out)
	}
}

// TestFails: the call that failed is named, with the kernel's error, and nothing
// after it is done.
func TestFails(t *testing.T) {
	dir := t.TempDir()
	var p Program
	p.Call("first", unix.SYS_MKDIRAT, unix.AT_FDCWD, dir+"/made", 0o700)
	fd := p.Call("second", unix.SYS_OPENAT, unix.AT_FDCWD, dir+"/made", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	p.Call("third", unix.SYS_MKDIRAT, fd, "inside", 0o700)
	p.Call("fourth", unix.SYS_MKDIRAT, fd, "inside", 0o700)
	p.Call("fifth", unix.SYS_MKDIRAT, fd, "never", 0o700)
	p.Execute("/bin/true", []string{"true"}, nil)
	_, err := p.Start(unix.CLONE_NEWUSER, -1)
	if !errors.Is(err, syscall.EEXIST) || !strings.HasPrefix(err.Error(), "fourth: ") {
		t.Errorf("%v", err)
	}
	entries, err := os.ReadDir(dir + "/made")
	if err != nil || len(entries) != 1 || entries[0].Name() != "inside" {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestNotExecutable(t *testing.T) {
	var p Program
	p.Execute(t.TempDir()+"/missing", []string{"x"}, nil)
	if _, err := p.Start(unix.CLONE_NEWUSER, -1); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v", err)
	}
	var q Program
	q.Call("one", unix.SYS_GETPID)
	if _, err := q.Start(1<<63, -1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("flags that there are not: %v", err)
	}
}

// TestHold: a process that executes nothing is there until it is killed, or
// until its calls are done; it has descriptors of its own.
func TestHold(t *testing.T) {
	for _, kill := range []bool{true, false} {
		r, w, err := os.Pipe()
		file(t, r, err)
		var p Program
		p.Call("close", unix.SYS_CLOSE, w.Fd())
		p.Call("read", unix.SYS_READ, r.Fd(), make([]byte, 1), 1)
		held, err := p.Hold(unix.CLONE_NEWUSER)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(held.PID, 0); err != nil {
			t.Errorf("gone already: %v", err)
		}
		if kill {
			err = held.Kill()
		} else {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := held.Wait(); err != nil {
			t.Error(err)
		}
		if err := unix.Kill(held.PID, 0); err != unix.ESRCH {
			t.Errorf("there still: %v", err)
		}
		p.Release()
		w.Close()
	}
}

// TestAllThreads: no thread is put aside with its signals blocked while it
// starts a process, or who has every thread make a system call waits for ever.
func TestAllThreads(t *testing.T) {
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0); e == syscall.ENOTSUP {
		t.Skip("needs a program without C: its threads are not all known")
	}
	done := make(chan error)
	for range 2 {
		go func() {
			var err error
			for range 100 {
				var p Program
				p.Call("end", unix.SYS_EXIT_GROUP, 0)
				child, e := p.Start(0, -1)
				if e == nil {
					e = child.Wait()
				}
				err = errors.Join(err, e)
			}
			done <- err
		}()
	}
	for busy := 2; busy > 0; {
		select {
		case err := <-done:
			if busy--; err != nil {
				t.Error(err)
			}
		default:
			syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
	}
}

// TestKilled: a process that was killed before its calls were done has not done
// them, though none failed.
func TestKilled(t *testing.T) {
	for _, killed := range []bool{false, true} {
		var p Program
		if killed {
			p.Call("kill", unix.SYS_KILL, p.Call("self", unix.SYS_GETPID), int(unix.SIGKILL))
		}
		p.Call("end", unix.SYS_EXIT_GROUP, 0)
		child, err := p.Start(0, -1)
		if err == nil {
			err = child.Wait()
		}
		if err != nil || child.Killed != killed {
			t.Errorf("killed %v: %+v, %v", killed, child, err)
		}
	}
}

// TestEnd: whoever ends a process or waits for it is told the same, at whatever time,
// and nothing of it stays open.
func TestEnd(t *testing.T) {
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := open()
	for range 50 {
		var p Program
		p.Call("pause", unix.SYS_PPOLL, 0, 0, 0, 0, 0)
		held, err := p.Hold(0)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		for _, f := range []func() error{held.End, held.Wait, held.Wait, held.End} {
			go func() { done <- f() }()
		}
		for range 4 {
			err = errors.Join(err, <-done)
		}
		if err = errors.Join(err, held.Kill(), held.End()); err != nil || !held.Killed {
			t.Errorf("killed %v: %v", held.Killed, err)
		}
		if err := unix.Kill(held.PID, 0); err != unix.ESRCH {
			t.Errorf("there still: %v", err)
		}
		p.Release()
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}
