package matrix

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"
	"time"

	"nacre/test/vm/machine"
)

// tested are the packages whose tests ask the kernel, and what to leave out on
// a machine without the tree's sources.
var tested = []struct{ pkg, skip string }{
	{"engine/native", ""},
	{"sandbox/build", ""},
	{"sandbox/cgroup", ""},
	{"sandbox/watchdog", ""},
	{"seccomp", ""},
	{"posture", ""},
	{"test/boundary", "TestAttack"}, // the kit runs by itself
}

// payloadFiles are carried into a machine.
type payloadFiles struct{ files map[string]string }

// payload builds the programs and tests for an architecture.
func payload(t *testing.T, arch string) payloadFiles {
	t.Helper()
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	env := append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+or(arch, "amd64"))
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = env
		cmd.Dir = "../../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	bin := filepath.Join(dir, "bin")
	run("go", "build", "-buildvcs=false", "-trimpath", "-o", bin+"/", "./cmd/nacre", "./cmd/nacre-init", "./cmd/nacre-image", "./cmd/nacre-attack")
	for _, p := range tested {
		to := filepath.Join(tree, p.pkg)
		run("go", "test", "-c", "-trimpath", "-o", filepath.Join(to, "test"), "./"+p.pkg)
		if _, err := os.Stat("../../../" + p.pkg + "/testdata"); err == nil {
			run("cp", "-r", p.pkg+"/testdata", to+"/")
		}
	}
	run("cp", "-r", "docs", tree+"/")
	return payloadFiles{map[string]string{"bin": bin, "tree": tree}}
}

// tests are the steps that run the carried tests. Each one runs where its
// sources would lie.
func (p payloadFiles) tests(user string, s stock) (steps []machine.Step) {
	for _, e := range tested {
		if s.slow && e.pkg != "engine/native" {
			continue
		}
		command := "./test -test.v"
		if e.skip != "" {
			command += " -test.skip='" + e.skip + "'"
		}
		steps = append(steps, machine.Step{Name: e.pkg, User: user, Command: command, Timeout: 15 * time.Minute,
			Dir: path.Join(machine.Dir, "tree", e.pkg),
			Env: map[string]string{"NACRE_BIN": machine.Dir + "/bin", "NACRE_INIT": machine.Dir + "/bin/nacre-init", "NACRE_TEST_ACCEPT": s.accept}})
	}
	return steps
}
