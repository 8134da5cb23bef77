package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nacre/attack/wire"
)

// liarVariable turns this test's program into a hostile one that answers the
// judge's questions with lies.
const liarVariable = "NACRE_TEST_LIAR"

func TestMain(m *testing.M) {
	if os.Getenv(judgeVariable) != "" {
		judgeUntilKilled()
	}
	if how := os.Getenv(liarVariable); how != "" {
		lie(how)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func lie(how string) {
	data, _ := os.ReadFile(strings.TrimPrefix(os.Args[len(os.Args)-1], "@"))
	var c wire.Config
	json.Unmarshal(data, &c)
	say := func(id string, v wire.Verdict, evidence, secret string) {
		json.NewEncoder(os.Stdout).Encode(wire.Result{Probe: id, Verdict: v, Evidence: evidence, Secret: secret})
	}
	for _, id := range c.Probes {
		say(id, wire.Started, "", "")
		switch how {
		case "sends and denies":
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.TCP4))
			if err == nil {
				fmt.Fprintf(conn, "%s%s %s\n", wire.ArrivalPrefix, c.Run, id)
				conn.Read(make([]byte, 1))
				conn.Close()
			}
			say(id, wire.Contained, "honestly", "")
		case "steals and denies":
			secret, _ := os.ReadFile(c.Secrets[0])
			say(id, wire.Contained, "look: "+string(secret), "")
		case "claims everything":
			say(id, wire.Escaped, "trust me", wire.SecretPrefix+"made-up")
		case "does not apply":
			say(id, wire.NotApplicable, "", "")
		case "answers twice":
			say(id, wire.Contained, "", "")
			say(id, wire.Escaped, "", "")
		case "garbage":
			os.Stdout.WriteString("{\"probe\":\"" + id + "\",\"verdict\":\"contained\",\"verdict\":\"contained\"}\n\x1b]52;c;x\x07\x00{{{{\n")
		case "for ever":
			for block := make([]byte, 1<<20); ; {
				if _, err := os.Stdout.Write(block); err != nil {
					return
				}
			}
		case "plants and denies":
			os.WriteFile(c.Folder+"/planted-x", nil, 0o755)
			os.Chmod(c.Folder+"/planted-x", 0o755|os.ModeSetuid)
			os.WriteFile(c.Folder+"/.git/config", []byte("[core]\n\tfsmonitor = evil\n"), 0o644)
			say(id, wire.Contained, "", "")
		case "exits":
			return
		}
	}
}

// judged attacks with a liar for a sandbox and answers the entries by id.
func judged(t *testing.T, program, how string, probes ...string) Report {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := Run(ctx, Options{Program: program, Probes: probes, Safe: true, Places: []string{t.TempDir()},
		Command: func(probe []string, _ string) []string {
			return append([]string{"env", liarVariable + "=" + how, self}, probe[1:]...)
		}})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func buildProgram(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("NACRE_ATTACK_PROGRAM"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "nacre-attack")
	command := exec.Command("go", "build", "-o", path, "nacre/cmd/nacre-attack")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("nacre-attack does not build: %v\n%s", err, out)
	}
	return path
}

func TestLies(t *testing.T) {
	program := buildProgram(t)
	for _, c := range []struct {
		how, probe string
		want       wire.Verdict
	}{
		{"sends and denies", "network.loopback-tcp4", wire.Escaped},
		{"steals and denies", "descriptors.outside-secret", wire.Escaped},
		{"steals and denies", "kernel.capabilities", wire.Escaped},
		{"claims everything", "descriptors.outside-secret", wire.Error},
		{"claims everything", "network.loopback-tcp4", wire.Contained}, // nothing arrived
		{"claims everything", "afterwards.setuid", wire.Contained},     // nothing lies there
		{"claims everything", "kernel.seccomp-mode", wire.Escaped},     // only the inside can tell
		{"does not apply", "kernel.capabilities", wire.Error},
		{"answers twice", "kernel.capabilities", wire.Error},
		{"garbage", "kernel.capabilities", wire.Error},
		{"for ever", "kernel.capabilities", wire.Error},
		{"plants and denies", "afterwards.setuid", wire.Escaped},
		{"plants and denies", "afterwards.git-hooks", wire.Escaped},
		{"exits", "kernel.capabilities", wire.Error},
		{"says nothing", "kernel.capabilities", wire.Error},
	} {
		t.Run(c.how+"/"+c.probe, func(t *testing.T) {
			report := judged(t, program, c.how, c.probe)
			e, ok := report.Entry(c.probe)
			if !ok || len(report.Entries) != 1 || e.Verdict != c.want {
				t.Errorf("judged %q, not %q: %s", e.Verdict, c.want, e.Evidence)
			}
			if report.Held() && c.want != wire.Contained {
				t.Error("the sandbox is said to hold")
			}
		})
	}
}

func TestNothingIsLeft(t *testing.T) {
	program, mine := buildProgram(t), t.TempDir()
	t.Setenv("TMPDIR", mine) // others may be judging at the same time
	report := judged(t, program, "plants and denies", "afterwards.setuid")
	if len(report.Leftovers) > 0 {
		t.Errorf("left behind: %q", report.Leftovers)
	}
	names, err := os.ReadDir(mine)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name.Name(), "nacre-attack-") {
			t.Errorf("%s is still there", name.Name())
		}
	}
}

func TestNoSandboxNoScore(t *testing.T) {
	program := buildProgram(t)
	if _, err := Run(t.Context(), Options{Program: program}); err == nil {
		t.Error("no command: a score")
	}
	if _, err := Run(t.Context(), Options{Program: "/bin/true", Command: func(p []string, _ string) []string { return p }}); err == nil {
		t.Error("a program that is another: a score")
	}
	report, err := Run(t.Context(), Options{Program: program, Safe: true, Probes: []string{"kernel.capabilities"}, Places: []string{t.TempDir()},
		Command: func(probe []string, _ string) []string { return []string{"/nonexistent/sandbox"} }})
	if err != nil || report.Held() || report.Count(wire.Error) != 1 {
		t.Errorf("a sandbox that does not start: %v, %+v", err, report.Entries)
	}
}
