package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

const (
	roleVar = "NACRE_AUDIT_TEST_ROLE"
	dirVar  = "NACRE_AUDIT_TEST_DIR"
)

// The test binary is also each of the processes that the tests start.
func TestMain(m *testing.M) {
	unix.Umask(0o077) // where groups may write by default, t.TempDir would be refused
	dir := os.Getenv(dirVar)
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(m.Run())
	case "writer":
		writer(dir, 25)
	case "endless":
		writer(dir, 1<<30)
	case "file-limit":
		fileLimit(dir)
	case "disk-full":
		diskFull(dir)
	case "read-only":
		readOnly(dir)
	}
}

func mkfifo(path string) error { return unix.Mkfifo(path, 0o600) }

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

// writer records n events, of every size, and prints each once it is confirmed.
func writer(dir string, n int) {
	l, err := Open(dir, os.Getuid())
	must(err)
	for i := range n {
		id := fmt.Sprintf("%d-%d", os.Getpid(), i)
		e := event(id)
		e.Detail = map[string]string{"pad": strings.Repeat("x", rand.IntN(16<<10)), "more": strings.Repeat("y", rand.IntN(16<<10))}
		must(l.Record(context.Background(), e))
		fmt.Println(id)
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

// onlyOnce checks that every confirmed event is in the log exactly once.
func onlyOnce(t *testing.T, dir string, ids []string) {
	t.Helper()
	count := map[string]int{}
	records, _ := all(t, dir)
	for _, r := range records {
		count[r.Subject]++
	}
	for _, id := range ids {
		if count[id] != 1 {
			t.Errorf("event %s was confirmed and is in the log %d times", id, count[id])
		}
	}
}

func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	const n = 6
	outs := make(chan []string, n)
	for range n {
		cmd := role(t, "writer", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
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
	if len(ids) != n*25 {
		t.Errorf("%d events confirmed", len(ids))
	}
	onlyOnce(t, dir, ids)
}

func TestKilledWriters(t *testing.T) {
	dir := t.TempDir()
	var ids []string
	for range 50 {
		cmd := role(t, "endless", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(out)
		first, err := in.ReadString('\n') // it is at work
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		cmd.Process.Kill()
		ids = append(append(ids, strings.TrimSpace(first)), confirmed(in)...)
		cmd.Wait()
	}
	onlyOnce(t, dir, ids)
	record(t, openTest(t, dir), "last")
	_, report := all(t, dir)
	if report.Torn {
		t.Errorf("%+v", report)
	}
	t.Logf("%d confirmed, %+v", len(ids), report)
}

// untilExhausted records until it cannot, and then proves that what is there
// is a good chain, that it was undone to the byte, and that it can go on.
func untilExhausted(dir string, makeRoom func()) {
	l, err := Open(dir, os.Getuid())
	must(err)
	var n uint64
	for ; ; n++ {
		before, err := os.ReadFile(path(dir))
		must(err)
		e := event(strings.Repeat("x", 5000))
		if err = l.Record(context.Background(), e); err == nil {
			continue
		}
		after, _ := os.ReadFile(path(dir))
		if fault.KindOf(err) != fault.Exhausted || fault.HintOf(err) == "" || string(before) != string(after) {
			must(fmt.Errorf("kind %v, %d bytes before, %d after: %w", fault.KindOf(err), len(before), len(after), err))
		}
		break
	}
	_, rep, err := chain(dir)
	must(err)
	if n == 0 || rep.Records != n || rep.Torn {
		must(fmt.Errorf("%d records confirmed, %+v", n, rep))
	}
	makeRoom()
	must(l.Record(context.Background(), event("room again")))
	records, rep, err := chain(dir)
	must(err)
	for _, r := range records {
		if r.Kind == KindCrash {
			must(errors.New("a crash, which was none"))
		}
	}
	if rep.Records != n+1 {
		must(fmt.Errorf("after that: %+v", rep))
	}
}

func fileLimit(dir string) {
	signal.Ignore(unix.SIGXFSZ)
	var limit unix.Rlimit
	must(unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	must(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 20_001, Max: limit.Max}))
	untilExhausted(dir, func() { must(unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)) })
}

func TestFileLimit(t *testing.T) {
	if err := role(t, "file-limit", t.TempDir()).Run(); err != nil {
		t.Error(err)
	}
}

// inNamespace starts a role with a user and a mount namespace of its own.
func inNamespace(t *testing.T, name string) {
	t.Helper()
	dir := t.TempDir()
	cmd := role(t, name, dir)
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

func diskFull(dir string) {
	mountTmpfs(dir, 64<<10)
	must(os.WriteFile(dir+"/ballast", make([]byte, 20<<10), 0o600))
	untilExhausted(dir, func() { must(os.Remove(dir + "/ballast")) })
}

func TestDiskFull(t *testing.T) { inNamespace(t, "disk-full") }

// readOnly checks all three moments: before anything is there, at Open, and
// under an open log.
func readOnly(dir string) {
	mountTmpfs(dir, 1<<20)
	l, err := Open(dir, os.Getuid())
	must(err)
	must(l.Record(context.Background(), event("x")))
	must(unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	_, onOpen := Open(dir, os.Getuid())
	_, onCreate := Open(dir+"/new", os.Getuid())
	for _, err := range []error{onOpen, onCreate, l.Record(context.Background(), event("y"))} {
		if fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" || !strings.Contains(err.Error(), dir) {
			must(fmt.Errorf("want a clear fault, got %w (hint %q)", err, fault.HintOf(err)))
		}
	}
	_, rep, err := chain(dir)
	must(err)
	if rep.Records != 1 {
		must(fmt.Errorf("%+v", rep))
	}
}

func TestReadOnly(t *testing.T) { inNamespace(t, "read-only") }
