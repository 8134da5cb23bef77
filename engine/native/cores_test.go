package native

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
)

// TestCoreSocket: where the kernel hands crashes to a socket, nothing that a sandbox has
// keeps its own from it. The run is refused, also where the sandbox stood ready before, and
// goes on where that is accepted. The setting is the machine's: in a mount namespace of this
// test's own another file lies over it.
func TestCoreSocket(t *testing.T) {
	if os.Getenv("NACRE_TEST_CORES") != "" {
		checkCores(t)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCoreSocket$", "-test.v")
	cmd.Env = append(os.Environ(), "NACRE_TEST_CORES=1", "NACRE_INIT="+initPath)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	if uid := os.Geteuid(); uid != 0 {
		one := func(id int) []syscall.SysProcIDMap {
			return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
		}
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = one(uid), one(os.Getegid())
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestCoreSocket") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func checkCores(t *testing.T) {
	const setting = "/proc/sys/kernel/core_pattern"
	e, a := newEngine(t)
	p := granted(t, project(t), nacre.Read, "true") // with a folder: no helper gives a plain user's an id here
	accepts := p
	accepts.Accepted = append(slices.Clone(p.Accepted), nacre.TierCoreSocket)
	accepts.Digest = compile.Digest(accepts)
	ready := map[bool]*Warm{}
	for accepted, p := range map[bool]nacre.Plan{false: p, true: accepts} { // before: no sandbox is built where /proc is partly covered
		var err error
		if ready[accepted], err = e.Warm(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "pattern")
	if err := errors.Join(os.WriteFile(file, []byte("core\n"), 0o644), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(file, setting, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	for pattern, socket := range map[string]bool{"@/run/cores.socket": true, "@@/run/cores.socket": true, "@": true,
		"core": false, "/var/cores/@%p": false, "|/usr/bin/handler @": false} {
		if err := os.WriteFile(file, []byte(pattern+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := e.Start(context.Background(), p, nacre.Streams{})
		if refused := fault.KindOf(err) == fault.Unsupported && strings.Contains(fault.HintOf(err), string(nacre.TierCoreSocket)); refused != socket {
			t.Errorf("%s: %v", pattern, err)
		}
		if last := a.events[len(a.events)-1]; last.Kind != "sandbox.refused" || last.Decision != nacre.Deny {
			t.Errorf("%s: the last record is %+v", pattern, last)
		}
	}
	if err := os.WriteFile(file, []byte("@/run/cores.socket\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ready[false].Start(context.Background(), nacre.Streams{}); !strings.Contains(fault.HintOf(err), string(nacre.TierCoreSocket)) {
		t.Errorf("one that stood ready: %v", err)
	}
	box, err := ready[true].Start(context.Background(), nacre.Streams{})
	if err != nil {
		t.Fatalf("accepted: %v", err)
	}
	if exit, err := box.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("accepted: %+v, %v", exit, err)
	}
}
