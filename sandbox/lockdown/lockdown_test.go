package lockdown_test

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/sandbox/layer"
	"nacre/sandbox/lockdown"
	"nacre/sandbox/spawn"
)

// TestMain is also what the processes run that attack, and their victim.
func TestMain(m *testing.M) {
	switch how := os.Args[len(os.Args)-1]; how {
	case asNobody:
	case asVictim:
		_, _ = io.Copy(io.Discard, os.Stdin)
	case asFree, asBegun, asWhole:
		if err := run(how); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		remove, err := standAlone()
		if err != nil {
			panic(err)
		}
		code := m.Run()
		remove()
		os.Exit(code)
	}
}

// self is this program, as one that needs no other file to run: what is confined
// has none.
var self = "/proc/self/exe"

// standAlone builds it anew where it is not like that, as under the race detector.
func standAlone() (remove func(), err error) {
	f, err := elf.Open(self)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "lockdown-")
	if err != nil {
		return nil, err
	}
	self = filepath.Join(dir, "lockdown.test")
	build := exec.Command("go", "test", "-c", "-o", self, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	return func() { os.RemoveAll(dir) }, errors.Join(build.Run(), os.Chmod(dir, 0o755))
}

// ready makes what is to be attacked.
func ready(t *testing.T) (p prey, listener *os.File) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lockdown") // with a short name, for the socket
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	p = prey{File: filepath.Join(dir, "file"), Socket: filepath.Join(dir, "socket"), Abstract: fmt.Sprintf("@lockdown-%d", os.Getpid())}
	must(t, os.WriteFile(p.File, []byte("text"), 0o755))
	file, err := os.Open(p.File)
	must(t, err)
	defer file.Close()
	p.Inherited, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD, 200)
	must(t, err)
	t.Cleanup(func() { unix.Close(p.Inherited) })
	for _, name := range []string{p.Socket, p.Abstract} {
		greet(t, "unix", name)
	}
	must(t, os.Chmod(p.Socket, 0o777))
	p.TCP = greet(t, "tcp", "127.0.0.1:0")
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		p.TCP6 = greet(t, "tcp", "[::1]:0")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	listener, err = l.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() { listener.Close() })

	victim := exec.Command("/proc/self/exe", asVictim)
	victim.SysProcAttr = &syscall.SysProcAttr{Credential: credential(), Pdeathsig: unix.SIGKILL}
	hold, err := victim.StdinPipe()
	must(t, errors.Join(err, victim.Start()))
	t.Cleanup(func() { hold.Close(); _ = victim.Wait() })
	p.Victim = victim.Process.Pid
	return p, listener
}

// greet listens and greets whoever comes.
func greet(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			c.Close()
		}
	}()
	return l.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// try runs this program in one of the ways and returns what became of each attempt.
func try(t *testing.T, how string) map[string]string {
	t.Helper()
	p, listener := ready(t)
	r, report, err := os.Pipe()
	must(t, err)
	defer r.Close()
	orders, w, err := os.Pipe()
	must(t, err)
	must(t, json.NewEncoder(w).Encode(p))
	w.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	must(t, err)
	defer null.Close()
	var wait func() error
	if how == asFree {
		cmd := exec.Command(self, how)
		cmd.ExtraFiles, cmd.Stderr = []*os.File{report, orders, listener}, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(), Pdeathsig: unix.SIGKILL}
		must(t, cmd.Start())
		wait = cmd.Wait
	} else {
		child, err := lockdown.Start(self, []string{"lockdown.test", how}, []*os.File{null, null, os.Stderr, report, orders, listener}, lockdown.Options{UID: uid, Group: -1})
		must(t, err)
		defer func() { _ = child.Kill() }()
		wait = child.Wait
	}
	report.Close()
	orders.Close()
	list := map[string]string{}
	for d := json.NewDecoder(r); ; {
		var o outcome
		if err := d.Decode(&o); err != nil {
			break
		}
		list[o.Name] = o.Error
	}
	must(t, wait())
	return list
}

// needsLandlock skips where the kernel has none; it returns the ABI.
func needsLandlock(t *testing.T) int {
	t.Helper()
	abi, err := layer.LandlockABI()
	if err != nil {
		t.Skipf("needs Landlock: %v", err)
	}
	return abi
}

// TestAttacks: with the gateway's own filter a process that was taken over can do
// nothing but what a gateway has to.
func TestAttacks(t *testing.T) {
	needsLandlock(t)
	got := try(t, asWhole)
	for _, a := range attacks {
		if why, tried := got[a.name]; !tried || why == "" {
			t.Errorf("%s: tried %v, and it is possible", a.name, tried)
		}
	}
	able(t, got)
}

func able(t *testing.T, got map[string]string) {
	t.Helper()
	for _, n := range needs {
		if why, tried := got[n.name]; !tried || why != "" {
			t.Errorf("%s: tried %v: %s", n.name, tried, why)
		}
	}
}

// TestAttacksOnNamespaces: what does not depend on the filter holds without it.
func TestAttacksOnNamespaces(t *testing.T) {
	abi := needsLandlock(t)
	got := try(t, asBegun)
	for _, a := range attacks {
		if why, tried := got[a.name]; a.begun && abi >= a.abi && (!tried || why == "") {
			t.Errorf("%s: tried %v, and it is possible", a.name, tried)
		}
	}
	able(t, got)
}

// TestAttacksAreReal: unconfined they succeed, but for those that take rights.
func TestAttacksAreReal(t *testing.T) {
	got := try(t, asFree)
	for _, a := range attacks {
		if why := got[a.name]; a.free && why != "" {
			t.Errorf("%s: %s", a.name, why)
		}
	}
	able(t, got)
}

// TestEnterAlone: a program that Start did not start is told so.
func TestEnterAlone(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", asWhole)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(), Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not started by lockdown.Start") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestStartRefuses: root has to say whom the program is to become; what is no
// program is not started.
func TestStartRefuses(t *testing.T) {
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	files := slices.Repeat([]*os.File{null}, 3)
	if os.Geteuid() == 0 {
		if _, err := lockdown.Start("/proc/self/exe", []string{"x", asBegun}, files, lockdown.Options{Group: -1}); err == nil {
			t.Error("it stays root")
		}
	}
	if _, err := lockdown.Start(os.DevNull, []string{"x"}, files, lockdown.Options{UID: uid, Group: -1}); err == nil {
		t.Error("/dev/null was executed")
	}
}

// BenchmarkStart starts a program and waits for its end, locked down and just so.
func BenchmarkStart(b *testing.B) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	files := slices.Repeat([]*os.File{null}, 3)
	args := []string{"lockdown.test", asNobody}
	for name, start := range map[string]func() (*spawn.Child, error){
		"locked": func() (*spawn.Child, error) {
			return lockdown.Start(self, args, files, lockdown.Options{UID: uid, Group: -1})
		},
		"plain": func() (*spawn.Child, error) {
			var p spawn.Program
			p.Descriptors(files)
			p.Execute(self, args, nil)
			return p.Start(0, -1)
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				child, err := start()
				if err == nil {
					err = child.Wait()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
