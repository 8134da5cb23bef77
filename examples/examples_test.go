// Package examples tests the examples: what their READMEs tell people to type
// is typed, and what came of it is looked at from outside.
package examples

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nacre/test/programs"
)

var bin string

func TestMain(m *testing.M) {
	dir, remove, err := programs.Dir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// secret is what no example may print.
const secret = "canary-9f1c2b"

// follow copies an example into a fresh home that has canaries, types the
// commands of its README and returns what they printed, and its folder.
func follow(t *testing.T, name string) (out, folder string) {
	t.Helper()
	home := programs.Home(t)
	folder = filepath.Join(home, name)
	if err := os.CopyFS(folder, os.DirFS(name)); err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{".ssh/id_ed25519", ".aws/credentials", ".bashrc"} {
		write(t, filepath.Join(home, canary), secret+"\n")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sh := exec.CommandContext(ctx, "sh", "-eu")
	sh.Dir, sh.Stdin = folder, strings.NewReader(commands(t, name))
	sh.Env = []string{"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "LANG=C.UTF-8", "SECRET=" + secret}
	b, err := sh.CombinedOutput()
	out = string(b)
	t.Log(out)
	if err != nil {
		t.Fatalf("what the README says fails: %v", err)
	}
	if strings.Contains(out, secret) {
		t.Error("a secret of the owner's was printed")
	}
	if got := read(t, filepath.Join(home, ".bashrc")); got != secret+"\n" {
		t.Errorf(".bashrc was changed: %q", got)
	}
	return out, folder
}

// commands are the lines of the README's shell blocks. A plain user accepts the
// lower tiers, as examples/README.md says.
func commands(t *testing.T, name string) string {
	t.Helper()
	var script strings.Builder
	inside := false
	for line := range strings.Lines(read(t, filepath.Join(name, "README.md"))) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = strings.HasPrefix(line, "```sh")
		case inside:
			script.WriteString(line)
		}
	}
	if script.Len() == 0 {
		t.Fatal("the README has no commands")
	}
	run := strings.Join(append([]string{"nacre run"}, programs.Tiers()...), " ")
	return strings.ReplaceAll(script.String(), "nacre run", run)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wants reports each text that is not there.
func wants(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%q is missing from what was printed", text)
		}
	}
}

// TestCodingAgent: the agent's commit is in the owner's repository.
func TestCodingAgent(t *testing.T) {
	programs.Needs(t, "git", "python3")
	out, folder := follow(t, "coding-agent")
	wants(t, out, "sums: add instead of subtract", "disk-unbounded")
	if got := read(t, filepath.Join(folder, "project/sums.py")); !strings.Contains(got, "a + b") {
		t.Errorf("the project was not mended: %s", got)
	}
	config := read(t, filepath.Join(folder, "project/.git/config"))
	if strings.Contains(config, "coder") {
		t.Error(".git/config was changed")
	}
}

// TestReview: the hostile setup script gets nothing and changes nothing.
func TestReview(t *testing.T) {
	programs.Needs(t, "python3")
	was := read(t, "review/repo/setup.py")
	out, folder := follow(t, "review")
	wants(t, out, "calls urlopen", "setup.py: [Errno 2]", "Read-only file system")
	if strings.Contains(out, "setup.py: has") {
		t.Error("the script read something that it should not")
	}
	if read(t, filepath.Join(folder, "repo/setup.py")) != was {
		t.Error("the repository was changed")
	}
}

// TestOfflineBuild: the build works, its thief takes nothing.
func TestOfflineBuild(t *testing.T) {
	programs.Needs(t, "make", "gcc")
	out, folder := follow(t, "offline-build")
	wants(t, out, "all tests pass")
	if got := read(t, filepath.Join(folder, "project/stolen")); got != "" {
		t.Errorf("the build stole %q", got)
	}
}

// TestConvert: two documents become text, the bomb is ended at its limit.
func TestConvert(t *testing.T) {
	programs.Needs(t, "python3", "gzip")
	out, folder := follow(t, "convert")
	wants(t, out, "Please pay 120 € by Friday.", "inbox/bomb.html.gz was refused")
	if strings.Contains(out, "steal()") || strings.Contains(out, "letter.html was refused") {
		t.Error("the wrong things were converted")
	}
	if got := read(t, filepath.Join(folder, "letter.html.txt")); got != "Dear reader,\nnothing is hidden here.\n" {
		t.Errorf("the letter reads %q", got)
	}
}

// TestDataJob: the sums are right, the denied file is not readable, and what
// would never end is ended.
func TestDataJob(t *testing.T) {
	programs.Needs(t, "python3")
	out, _ := follow(t, "data-job")
	wants(t, out, "north 150\nsouth 80\n", "\ndenied\n", "\nended\n", "256MiB")
	if strings.Contains(out, "alice") {
		t.Error("the denied file was read")
	}
}
