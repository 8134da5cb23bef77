package cli_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSignalWhileToolsStart: a signal ends a run that waits for its tool server, and
// that server's start, which would take for ever: its image is at a registry that says
// nothing.
func TestSignalWhileToolsStart(t *testing.T) {
	for number, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		registry, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer registry.Close()
		image := "oci:" + registry.Addr().String() + "/a/b@sha256:" + strings.Repeat("0", 64)
		dir := folder(t)
		for name, text := range map[string]string{
			"notes/SKILL.md":          "---\nname: notes\ndescription: Keeps notes.\n---\n",
			"notes/tool.yaml":         "version: 1\ncommand: [sh]\n",
			"notes/capabilities.yaml": "version: 1\nname: notes\nimage: " + image + "\n",
			"agent.yaml":              "version: 1\nname: agent\ncommand: [echo, started]\ntools: [{server: notes, skill: notes, tools: [add]}]\n",
			"policy.yaml":             "version: 1\nimages: ['" + image + "']\ntools: [{server: notes, skill: notes, tools: [add]}]\n",
		} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		env := append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir(), "XDG_STATE_HOME=", "XDG_CONFIG_HOME=")
		command := func(args ...string) (*exec.Cmd, *strings.Builder) {
			var said strings.Builder
			c := exec.Command(args[0], args[1:]...)
			c.Dir, c.Env, c.Stdout, c.Stderr = dir, env, &said, &said
			return c, &said
		}
		add, said := command("nacre", "skill", "add", "./notes")
		if err := add.Run(); err != nil {
			t.Fatal(err, said)
		}
		run, said := command("sandbox", "--policy", "policy.yaml", "--agent", "agent.yaml")
		if err := run.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- run.Wait() }()
		asked := make(chan net.Conn, 1)
		go func() {
			if c, err := registry.Accept(); err == nil {
				asked <- c
			}
		}()
		select {
		case c := <-asked:
			defer c.Close()
			_ = run.Process.Signal(number)
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("%v: whoever fetches the image is still there: %v", number, err)
			}
		case err := <-ended:
			t.Fatal(err, said)
		}
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = run.Process.Kill()
			<-ended
		}
		if got := run.ProcessState.ExitCode(); got != code || strings.Contains(said.String(), "started") {
			t.Errorf("%v: exit code %d, expected %d: %s", number, got, code, said)
		}
	}
}
