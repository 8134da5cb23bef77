// Window measures how long a blocked name that appears in a granted folder can
// be seen or read in a running sandbox before it is masked or the sandbox ended:
// the figures of docs/THREATS.md. The outside renames a file over a masked one,
// as editors save; the inside does nothing but look.
//
//	make && go run ./test/window [-n 200] [-look open]
//
// With -look stat the inside only looks at the name, so that masking is measured;
// with -look open it opens and reads it, and mostly gets ended. As a plain user,
// build it first and run it by its name.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is what inside and outside share: a mapped file.
type board struct {
	event atomic.Int64 // the number of the latest secret seen inside
	last  atomic.Int64 // when it was seen last, in nanoseconds since 1970
	ready atomic.Int64
}

func openBoard(name string) (*board, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(4096); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*board)(unsafe.Pointer(&b[0])), nil
}

// spin is the inside: it looks at a file until it is ended. The file's length is
// the number of the event.
func spin(look, file, shared string) error {
	b, err := openBoard(shared)
	if err != nil {
		return err
	}
	b.ready.Store(1)
	page := make([]byte, 8192)
	for {
		n := 0
		if look == "stat" {
			var st unix.Stat_t
			if unix.Lstat(file, &st) == nil {
				n = int(st.Size) // a mask has no length
			}
		} else if fd, err := unix.Open(file, unix.O_RDONLY, 0); err == nil {
			n, _ = unix.Read(fd, page)
			unix.Close(fd)
		}
		if n > 0 {
			b.event.Store(int64(n))
			b.last.Store(time.Now().UnixNano())
		}
	}
}

type trial struct {
	nacre, access, look, dir string
	board                    *board
	run                      *exec.Cmd
	says                     bytes.Buffer
}

// start starts the sandbox, if none runs.
func (t *trial) start() error {
	if t.run != nil {
		return nil
	}
	t.board.ready.Store(0)
	project, shared := filepath.Join(t.dir, "project"), filepath.Join(t.dir, "shared")
	args := []string{"run", "-q", "--tty=never", "--limit", "time=1h", "--files", project + ":" + t.access + "@/project", "--files", shared + ":write@/shared"}
	if os.Geteuid() != 0 {
		args = append(args, "--accept", "limits-watchdog")
	}
	t.run = exec.Command(t.nacre, append(args, "--", "/project/window", "-spin", "-look", t.look)...)
	t.says.Reset()
	t.run.Stderr = &t.says
	if err := t.run.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); t.board.ready.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("the sandbox does not start")
		}
	}
	time.Sleep(5 * time.Millisecond)
	return nil
}

// stop ends a sandbox that a failure left.
func (t *trial) stop() {
	if t.run != nil && t.run.Process != nil {
		_ = t.run.Process.Signal(unix.SIGTERM)
		_ = t.run.Wait()
	}
}

// once replaces the masked file and returns for how long the new one was seen.
func (t *trial) once(n int) (time.Duration, bool, error) {
	if err := t.start(); err != nil {
		return 0, false, err
	}
	project := filepath.Join(t.dir, "project")
	if err := os.WriteFile(filepath.Join(project, "new"), make([]byte, n), 0o644); err != nil {
		return 0, false, err
	}
	ended := make(chan error, 1)
	began := time.Now().UnixNano()
	if err := os.Rename(filepath.Join(project, "new"), filepath.Join(project, ".env")); err != nil {
		return 0, false, err
	}
	go func() { ended <- t.run.Wait() }()
	t.settle(ended, began)
	t.run = nil
	killed := strings.Contains(t.says.String(), "blocked-name-appeared")
	if t.board.event.Load() != int64(n) {
		return 0, killed, nil // never seen
	}
	return time.Duration(t.board.last.Load() - began), killed, nil
}

// quiet is how long nothing must have been seen for a name to count as masked.
const quiet = 300 * time.Millisecond

// settle waits until the sandbox has been ended, or nothing is seen any more;
// then it ends it.
func (t *trial) settle(ended <-chan error, began int64) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(quiet / 10):
		}
		if time.Now().UnixNano()-max(began, t.board.last.Load()) > int64(quiet) {
			_ = t.run.Process.Signal(unix.SIGTERM)
			<-ended
			return
		}
	}
}

func measure(t *trial, n int) error {
	var all []time.Duration
	ends := 0
	for i := range n {
		d, killed, err := t.once(i + 1)
		if err != nil {
			return err
		}
		if killed {
			ends++
		}
		all = append(all, d)
	}
	slices.Sort(all)
	fmt.Printf("uid %d, %s folder, inside does %s: %d events, window median %v, p95 %v, max %v; %d masked, %d ended\n",
		os.Geteuid(), t.access, t.look, n, all[n/2].Round(time.Microsecond), all[n*95/100].Round(time.Microsecond),
		all[n-1].Round(time.Microsecond), n-ends, ends)
	return nil
}

func main() {
	inside := flag.Bool("spin", false, "be the inside")
	look := flag.String("look", "stat", "stat or open")
	access := flag.String("access", "read", "read or write")
	n := flag.Int("n", 200, "events, at most 8000")
	nacre := flag.String("nacre", "bin/nacre", "the program")
	flag.Parse()
	err := outside(*inside, *look, *access, *nacre, *n)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func outside(inside bool, look, access, nacre string, n int) error {
	if inside {
		return spin(look, "/project/.env", "/shared/board")
	}
	dir, err := os.MkdirTemp("", "window")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"project", "shared"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "project/window"), self, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "project/.env"), nil, 0o644)
	}
	if err != nil {
		return err
	}
	t := &trial{nacre: nacre, access: access, look: look, dir: dir}
	if t.board, err = openBoard(filepath.Join(dir, "shared/board")); err != nil {
		return err
	}
	defer t.stop()
	return measure(t, n)
}
