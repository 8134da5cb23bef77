package home

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test be the program too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "start" {
		t, err := Parse(os.Args[2:])
		code := 1
		t.patience, _ = time.ParseDuration(os.Getenv("PATIENCE"))
		if err == nil {
			code, err = t.Run(os.Getenv("HOME"))
		}
		if err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestParse(t *testing.T) {
	got, err := Parse([]string{"--keep", "/k", ".a/b", "text", "c", "--", "--", "sh", "--", "x"})
	if err != nil || got.Kept != "/k" || !slices.Equal(got.Files, [][2]string{{".a/b", "text"}, {"c", "--"}}) || !slices.Equal(got.Command, []string{"sh", "--", "x"}) {
		t.Errorf("%+v %v", got, err)
	}
	for _, args := range [][]string{nil, {"--keep"}, {"--keep", ""}, {"--keep", "", "--"}, {"--keep", "", "a", "b"}, {"--keep", "", "a", "--", "sh"}, {"--keep", "", "../a", "b", "--", "sh"}, {"--keep", "", "/a", "b", "--", "sh"}} {
		if got, err := Parse(args); err == nil {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// start runs the program with a new home.
func start(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, append([]string{"start"}, args...)...)
	c.Env = append(os.Environ(), "HOME="+t.TempDir())
	b, _ := c.CombinedOutput()
	return string(b), c.ProcessState.ExitCode()
}

// TestStart: files are there for the command, whose exit code counts; what is there
// already stays.
func TestStart(t *testing.T) {
	if out, code := start(t, "--keep", "", ".a/settings.json", "{}", "--", "sh", "-c", "cat ~/.a/settings.json; exit 7"); out != "{}\n" || code != 7 {
		t.Errorf("%q %d", out, code)
	}
	kept := t.TempDir()
	for _, c := range []struct{ script, want string }{
		{"cat ~/.a; echo mine > ~/.a; mkdir -p ~/.claude; echo 1 > ~/.claude/settings.json; echo 2 > ~/.npmrc; ln -s .npmrc ~/link; chmod 700 ~/.npmrc; exit 3", "begin\n"},
		{"cat ~/.a ~/.claude/settings.json ~/link; test -x ~/.npmrc; exit 3", "mine\n1\n2\n"},
		{"kill -TERM $$", ""},
	} {
		out, code := start(t, "--keep", kept, ".a", "begin", "--", "sh", "-c", c.script)
		if want := map[bool]int{false: 3, true: 128 + 15}[c.want == ""]; out != c.want || code != want {
			t.Errorf("%s: %q %d", c.script, out, code)
		}
	}
	entries, _ := filepath.Glob(kept + "/*")
	if len(entries) != 1 || filepath.Base(entries[0]) != archive {
		t.Errorf("kept: %q", entries)
	}
	if out, code := start(t, "--keep", "", "--", "no-such-program"); code == 0 || !strings.Contains(out, "no-such-program") {
		t.Errorf("%q %d", out, code)
	}
}

// TestSignal: what is sent to it reaches the command, and the home is kept: also of a
// command that does not end when asked to.
func TestSignal(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for script, code := range map[string]int{"trap 'echo asked > ~/asked; exit 0' TERM; echo ready; while :; do sleep 0.1; done": 0,
		"trap '' TERM; echo asked > ~/asked; echo ready; while :; do sleep 0.1; done": 128 + 9} {
		kept := t.TempDir()
		c := exec.Command(self, "start", "--keep", kept, "--", "sh", "-c", script)
		c.Env = append(os.Environ(), "HOME="+t.TempDir(), "PATIENCE="+map[bool]string{true: "1h", false: "10ms"}[code == 0])
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if _ = c.Wait(); c.ProcessState.ExitCode() != code {
			t.Errorf("%s: %v", script, c.ProcessState)
		}
		if out, _ := start(t, "--keep", kept, "--", "sh", "-c", "cat ~/asked"); out != "asked\n" {
			t.Errorf("%s: %q", script, out)
		}
	}
}
