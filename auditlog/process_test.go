package auditlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/audit"
	"nacre/fault"
)

const (
	roleVar = "NACRE_AUDITLOG_TEST_ROLE"
	dirVar  = "NACRE_AUDITLOG_TEST_DIR"
)

// The test binary is also each of the processes that the tests start.
func TestMain(m *testing.M) {
	unix.Umask(0o077) // where groups may write by default, t.TempDir would be refused
	dir := os.Getenv(dirVar)
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(m.Run())
	case "writer":
		writer(dir, 12, 16<<10)
	case "endless":
		writer(dir, 1<<30, 1)
	case "disk-full":
		diskFull(dir)
	}
}

func role(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVar+"="+name, dirVar+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

func childRotator(dir string, over int64) Rotator {
	return Rotator{Dir: dir, Owner: os.Getuid(), Over: over, Signer: func() (*Key, error) { return MakeKey(dir+".key", os.Getuid()) }}
}

// writer records n events and closes the file whenever it is over a size. It
// prints each event once that is confirmed.
func writer(dir string, n int, over int64) {
	l, err := audit.Open(dir, os.Getuid())
	must(err)
	for i := range n {
		id := fmt.Sprintf("%d-%d", os.Getpid(), i)
		e := event(id)
		e.Detail = map[string]string{"pad": strings.Repeat("x", rand.IntN(4<<10))}
		must(l.Record(context.Background(), e))
		fmt.Println(id)
		if _, err := childRotator(dir, over).Rotate(context.Background()); fault.KindOf(err) != fault.Conflict {
			must(err) // a torn end, of another that was killed, is sealed by the next record
		}
	}
}

// confirmed reads the identifiers that a writer printed whole.
func confirmed(r io.Reader) (ids []string) {
	in := bufio.NewReader(r)
	for {
		id, err := in.ReadString('\n')
		if err != nil {
			return ids
		}
		ids = append(ids, strings.TrimSpace(id))
	}
}

// onlyOnce checks that the record is good, and every confirmed event in it
// exactly once.
func onlyOnce(t *testing.T, dir string, ids []string) Report {
	t.Helper()
	count := map[string]int{}
	records, report := all(t, dir)
	for _, r := range records {
		count[r.Subject]++
	}
	for _, id := range ids {
		if count[id] != 1 {
			t.Errorf("event %s was confirmed and is in the record %d times", id, count[id])
		}
	}
	return report
}

// TestManyWritersRotate: sixteen processes write and rotate one record.
func TestManyWritersRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	const n = 16
	outs := make(chan []string, n)
	for range n {
		cmd := role(t, "writer", dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			ids := confirmed(out)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			outs <- ids
		}()
	}
	var ids []string
	for range n {
		ids = append(ids, <-outs...)
	}
	report := onlyOnce(t, dir, ids)
	closed := len(files(t, dir)) - 1
	if len(ids) != n*12 || closed < 5 || report.Seq != uint64(len(ids)+closed) {
		t.Errorf("%d events confirmed, %d files closed, last record %d", len(ids), closed, report.Seq)
	}
}

// TestKilledInRotation: a process that does little but rotate is killed two
// hundred times. What is left reads as good or as a crash, never as tampering.
func TestKilledInRotation(t *testing.T) {
	sealed, left := 0, 0
	for range 10 {
		dir := filepath.Join(t.TempDir(), "audit")
		var ids []string
		for range 20 {
			cmd := role(t, "endless", dir)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(out)
			first, err := in.ReadString('\n') // it is at work
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rand.IntN(8000)) * time.Microsecond)
			cmd.Process.Kill()
			ids = append(append(ids, strings.TrimSpace(first)), confirmed(in)...)
			cmd.Wait()
			all(t, dir)
			if _, err := os.Lstat(current(dir) + ".new"); err == nil {
				left++
			}
		}
		record(t, openTest(t, dir), "last")
		rotate(t, dir)
		if report := onlyOnce(t, dir, ids); report.Torn {
			t.Errorf("%+v", report)
		}
		records, _ := all(t, dir)
		sealed += crashes(records)
	}
	t.Logf("killed with a new file begun %d times, with a record torn %d times", left, sealed)
}

// TestRotationStopsAnywhere builds by hand every state in which a rotation can
// stop: the record is as before, or rotated, and goes on.
func TestRotationStopsAnywhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	record(t, openTest(t, dir), "a", "b", "c")
	before := copyRecord(t, dir)
	rotate(t, dir)
	next := content(t, dir)
	link := func(d string) error { return os.Link(current(d), filepath.Join(d, "audit-000000000001.jsonl")) }
	states := map[string]func(d string) error{
		"linked": link,
		"linked, with the new file": func(d string) error {
			return errors.Join(os.WriteFile(current(d)+".new", next, 0o600), link(d))
		},
		"done": func(d string) error {
			return errors.Join(os.WriteFile(current(d)+".new", next, 0o600), link(d), os.Rename(current(d)+".new", current(d)))
		},
	}
	for cut := 0; cut <= len(next); cut += 1 + cut%13 {
		states[fmt.Sprintf("new file of %d bytes", cut)] = func(d string) error { return os.WriteFile(current(d)+".new", next[:cut], 0o600) }
	}
	for name, stop := range states {
		d := copyRecord(t, before)
		os.Rename(dir+".key", d+".key")
		if err := stop(d); err != nil {
			t.Fatal(err)
		}
		all(t, d)
		record(t, openTest(t, d), "d")
		if c := rotate(t, d); c == nil {
			t.Errorf("%s: not rotated", name)
		}
		record(t, openTest(t, d), "e")
		records, report := all(t, d)
		got := strings.Join(subjects(records), " ")
		for _, want := range []string{"a b c ", " d ", " e"} {
			if !strings.Contains(" "+got, want) {
				t.Errorf("%s: %q lacks %q", name, got, want)
			}
		}
		if crashes(records) > 0 || report.Torn {
			t.Errorf("%s: %+v", name, report)
		}
		os.Rename(d+".key", dir+".key")
	}
}

const noMount = 77 // a child's exit code

func mountTmpfs(dir string, size int) {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.Itoa(size))
	}
	if errors.Is(err, fs.ErrPermission) { // AppArmor lets the namespace be made, but not used
		os.Exit(noMount)
	}
	must(err)
}

// diskFull has a rotation and a removal meet a full disk, at whatever moment.
func diskFull(dir string) {
	must(os.MkdirAll(dir, 0o700))
	mountTmpfs(dir, 96<<10)
	l, err := audit.Open(dir, os.Getuid())
	must(err)
	r := childRotator(dir, 1)
	_, err = r.Signer()
	must(err)
	var n uint64
	for range 4 {
		must(l.Record(context.Background(), event("x")))
		_, err := r.Rotate(context.Background())
		must(err)
		n += 2
	}
	must(l.Record(context.Background(), event("y")))
	before, err := os.ReadFile(current(dir))
	must(err)
	must(fill(dir + "/ballast"))
	if _, err = r.Rotate(context.Background()); fault.KindOf(err) != fault.Exhausted || err == nil {
		must(fmt.Errorf("a rotation on a full disk: %w", err))
	}
	if _, err = (Remover{Dir: dir, Owner: os.Getuid(), Log: l}).Remove(context.Background()); fault.KindOf(err) != fault.Exhausted || err == nil {
		must(fmt.Errorf("a removal on a full disk: %w", err))
	}
	after, err := os.ReadFile(current(dir))
	must(err)
	report, err := Verify(dir, Against{})
	must(err)
	if !bytes.Equal(before, after) || report.Seq != n+1 || report.Removed > 0 {
		must(fmt.Errorf("the record was changed: %+v", report))
	}
	if _, err := os.Lstat(current(dir) + ".new"); err == nil {
		must(errors.New("a new file is left, which keeps the disk full"))
	}
	must(os.Remove(dir + "/ballast"))
	_, err = r.Rotate(context.Background())
	must(err)
	must(l.Record(context.Background(), event("z")))
	report, err = Verify(dir, Against{})
	must(err)
	if report.Seq != n+3 {
		must(fmt.Errorf("after that: %+v", report))
	}
}

// fill takes what room there is.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, unix.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestDiskFullInRotation(t *testing.T) {
	cmd := role(t, "disk-full", filepath.Join(t.TempDir(), "audit"))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	err := cmd.Start()
	if err != nil {
		t.Skipf("needs user namespaces: %v", err)
	}
	err = cmd.Wait()
	if cmd.ProcessState.ExitCode() == noMount {
		t.Skip("needs to mount in a user namespace of its own, which this machine refuses")
	}
	if err != nil {
		t.Error(err)
	}
}
