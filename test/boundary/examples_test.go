package boundary

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
	"nacre/test/programs"
)

// TestAttackList: the probes are listed for programs too, as many as for people.
func TestAttackList(t *testing.T) {
	o := newOwner(t)
	text, code := o.bare("attack", "--list")
	if code != 0 {
		t.Fatal(text)
	}
	out, code := o.bare("attack", "--list", "--json")
	var probes []wire.Spec
	if err := json.Unmarshal([]byte(out), &probes); err != nil || code != 0 {
		t.Fatalf("%d, %v: %.200s", code, err, out)
	}
	if lines := strings.Count(text, "\n"); len(probes) != lines || lines == 0 || probes[0].ID == "" || probes[0].Mechanism == "" {
		t.Errorf("%d probes, %d lines: %.200s", len(probes), lines, out)
	}
}

// TestAttackExamples runs the examples of nacre attack --help as they stand
// there: each gives a score, and what is not Nacre's does not hold.
func TestAttackExamples(t *testing.T) {
	o := newOwner(t)
	help, code := o.bare("attack", "--help")
	if code != 0 {
		t.Fatal(help)
	}
	ran := 0
	for line := range strings.Lines(help) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "nacre attack ") || strings.Contains(line, ">") || strings.Contains(line, "[") {
			continue
		}
		ran++
		against := strings.Contains(line, "--against")
		t.Run(line[:min(len(line), 40)], func(t *testing.T) {
			if against {
				if err := exec.Command("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true").Run(); err != nil {
					t.Skipf("needs bwrap (package bubblewrap) and user namespaces: %v", err)
				}
				line += " --safe" // it has no limits
			}
			cmd := exec.Command("sh", "-c", line+" "+strings.Join(programs.Tiers(), " "))
			cmd.Dir = o.home
			cmd.Env = []string{"HOME=" + o.home, "PATH=" + bin + ":" + os.Getenv("PATH"), "LANG=C.UTF-8", "TMPDIR=" + os.TempDir()}
			out, _ := cmd.CombinedOutput()
			want := map[bool]int{true: 1, false: 0}[against]
			if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(string(out), " 0 error,") || strings.Contains(string(out), " 0 contained") {
				t.Errorf("ended with %d, want %d:\n%s", got, want, out)
			}
		})
	}
	if ran < 2 {
		t.Errorf("only %d examples:\n%s", ran, help)
	}
}

// TestAttackInterrupted: Ctrl-C in an attack says that there is no score, and what
// was planted goes.
func TestAttackInterrupted(t *testing.T) {
	o := newOwner(t)
	planted := t.TempDir()
	if err := os.Chmod(planted, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "nacre"), append([]string{"attack"}, programs.Tiers()...)...)
	cmd.Dir = o.home
	cmd.Env = []string{"HOME=" + o.home, "PATH=" + bin + ":" + os.Getenv("PATH"), "LANG=C.UTF-8", "TMPDIR=" + planted}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3000 { // half a minute, where nothing is planted
		if found, _ := filepath.Glob(planted + "/nacre-attack-*"); len(found) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = cmd.Process.Signal(unix.SIGINT)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 125 || !strings.Contains(out.String(), "interrupted: there is no score") {
		t.Errorf("ended with %d: %s", code, &out)
	}
	if left, err := os.ReadDir(planted); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
