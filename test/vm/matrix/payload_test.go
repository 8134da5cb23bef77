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

// tested are the packages whose tests ask the kernel; what to leave out,
// because it wants the tree's sources or runs by itself; and which tests the one
// boot of each change has time for. What sandbox/notify does is tested in
// engine/native. Of the gateway's tests most speak with curl, which a minimal
// machine has not, and none of those asks the kernel for anything more.
var tested = []struct{ pkg, only, skip, once string }{
	{pkg: "engine/native", once: onceEngine},
	{pkg: "sandbox", once: "."},
	{pkg: "sandbox/build", once: "."},
	{pkg: "sandbox/cgroup"},
	{pkg: "sandbox/limits", once: "."},
	{pkg: "sandbox/spawn", once: "."},
	{pkg: "sandbox/watchdog"},
	{pkg: "seccomp", once: "^TestKernel"},
	{pkg: "posture", once: "."},
	{pkg: "watch", once: "."},
	{pkg: "pool", once: "^TestStart$"},
	{pkg: "denials"},
	{pkg: "localapi", once: "."},
	{pkg: "doctor", once: "."},
	{pkg: "gateway/launch", only: "^(TestGatewayIs|TestNothingElse|TestNoUDP|TestUpstreamFaults|TestHalfClosed|TestSlowLoris)", once: "^(TestGatewayIs|TestNothingElse|TestNoUDP)"},
	{pkg: "test/faults"},
	{pkg: "test/boundary", skip: "^(TestAttack|TestAttackExamples)$", once: "^(TestNoRecordNoStart|TestMissingLayerRefuses|TestNothingIsInherited)$"}, // the kit runs by itself
}

// What the one boot has time for: one test at least of each layer and of each
// part that differs between kernels.
const (
	onceEngine = "^(TestRun|TestStatus|TestLimits|TestMasks|TestGuards|TestDeniedIsReported|TestMasksUnderChange|TestWarm|TestKilled)$"
	onceProbes = "'kernel.*' 'descriptors.*' 'others.*' 'information.*'"
)

// at is the tests that a machine has time for; none is not to be built.
func (s stock) at(pkg, once string) (pattern string, some bool) {
	switch {
	case s.once:
		return once, once != ""
	case s.slow:
		return ".", pkg == "engine/native"
	}
	return ".", true
}

// payloadFiles are carried into a machine.
type payloadFiles struct{ files map[string]string }

// payload builds the programs and tests for a machine.
func payload(t *testing.T, s stock) payloadFiles {
	t.Helper()
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	env := append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+or(s.arch, "amd64"))
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
	faulty := filepath.Join(dir, "faulty")
	run("go", "build", "-buildvcs=false", "-trimpath", "-o", bin+"/", "./cmd/...")
	run("go", "build", "-buildvcs=false", "-trimpath", "-tags", "nacrefault", "-o", faulty+"/", "./cmd/nacre", "./cmd/nacre-init")
	for _, p := range tested {
		if _, some := s.at(p.pkg, p.once); !some {
			continue
		}
		to := filepath.Join(tree, p.pkg)
		run("go", "test", "-c", "-trimpath", "-o", filepath.Join(to, "test"), "./"+p.pkg)
		if _, err := os.Stat("../../../" + p.pkg + "/testdata"); err == nil {
			run("cp", "-r", p.pkg+"/testdata", to+"/")
		}
	}
	run("cp", "-r", "docs", tree+"/")
	return payloadFiles{map[string]string{"bin": bin, "faulty": faulty, "tree": tree}}
}

// tests are the steps that run the carried tests. Each one runs where its
// sources would lie.
func (p payloadFiles) tests(user string, s stock) (steps []machine.Step) {
	for _, e := range tested {
		pattern, some := s.at(e.pkg, e.once)
		if !some {
			continue
		}
		if e.only != "" && !s.once {
			pattern = e.only
		}
		command := "./test -test.v -test.run='" + pattern + "'"
		if e.skip != "" {
			command += " -test.skip='" + e.skip + "'"
		}
		steps = append(steps, machine.Step{Name: e.pkg, User: user, Command: command, Timeout: 30 * time.Minute,
			Dir: path.Join(machine.Dir, "tree", e.pkg),
			Env: map[string]string{"NACRE_BIN": machine.Dir + "/bin", "NACRE_INIT": machine.Dir + "/bin/nacre-init",
				"NACRE_FAULTY_BIN": machine.Dir + "/faulty", "NACRE_TEST_ACCEPT": s.accept}})
	}
	return steps
}
