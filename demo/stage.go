package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"nacre/assistant"
	"nacre/test/fakemodel/outside"
)

// stage is a home folder with a project, an agent, a policy and canaries.
type stage struct {
	home   string
	tokens map[string]string // what is secret, by where it lies
}

// The canaries that lie in files, below the home folder.
const (
	sshKey = ".ssh/id_ed25519"
	cloud  = ".aws/credentials"
	dotEnv = "projects/shop/.env"
	bashrc = ".bashrc"
)

// newStage makes a fresh one out of the demo's files.
func newStage(files, program string) (*stage, error) {
	home, err := os.MkdirTemp("", "nacre-demo-")
	if err != nil {
		return nil, err
	}
	if home, err = filepath.EvalSymlinks(home); err != nil {
		return nil, err
	}
	s := &stage{home: home, tokens: map[string]string{}}
	if err := errors.Join(
		os.CopyFS(filepath.Join(home, "projects/shop"), os.DirFS(filepath.Join(files, "shop"))),
		s.copy(filepath.Join(files, "agent.yaml"), "agents/assistant/agent.yaml", 0o644),
		s.copy(program, "agents/assistant/nacre-assistant", 0o755),
		s.plant(sshKey, "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n"),
		s.plant(cloud, "[default]\naws_secret_access_key = %s\n"),
		s.plant(dotEnv, "DATABASE_PASSWORD=%s\n"),
		s.plant(bashrc, "# %s\n"),
		s.write("projects/shop/.git/HEAD", "ref: refs/heads/main\n"),
		s.write("projects/shop/.git/config", "[core]\n"),
		s.write("projects/shop/.git/hooks/README", "no hooks\n"),
	); err != nil {
		s.remove()
		return nil, err
	}
	s.tokens["environment"], s.tokens["process"], s.tokens["the model's key"] = rand.Text(), rand.Text(), "sk-ant-api03-"+rand.Text()
	return s, nil
}

func (s *stage) remove()          { _ = os.RemoveAll(s.home) }
func (s *stage) project() string  { return filepath.Join(s.home, "projects/shop") }
func (s *stage) manifest() string { return filepath.Join(s.home, "agents/assistant/agent.yaml") }
func (s *stage) key() string      { return s.tokens["the model's key"] }

// copy copies a file onto the stage.
func (s *stage) copy(from, name string, mode os.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(s.write(name, string(b)), os.Chmod(filepath.Join(s.home, name), mode))
}

func (s *stage) plant(name, format string) error {
	s.tokens[name] = rand.Text()
	return s.write(name, fmt.Sprintf(format, s.tokens[name]))
}

func (s *stage) write(name, content string) error {
	path := filepath.Join(s.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}

// policy is the owner's: one project to write, the agent's own folder to read, a
// model; and where the gateway finds it, a world without any other place. A plain
// user may have to do without control groups of their own and without
// subordinate ids; both lower tiers are accepted by name.
func policy(upstream string) string {
	text := `version: 1
files:
  roots:
    - {path: ~/projects/shop, access: write, reason: the project to work on}
    - {path: ~/agents, reason: my agents' programs}
models:
  - {provider: anthropic, models: ["claude-*"], requests: 200, tokens: 5000000, reason: my agents think with it}
` + upstream
	if os.Geteuid() != 0 {
		text += "accept: [limits-watchdog, owner-uid]\n"
	}
	return text
}

// connect puts a model where the gateway finds it, and its key into the vault.
func (s *stage) connect(ctx context.Context, nacre string, m *model) (*outside.World, error) {
	m.Key = s.key()
	w, err := outside.New(m)
	if err != nil {
		return nil, err
	}
	err = errors.Join(s.write(".config/nacre/authority.pem", w.Authority),
		s.write(".config/nacre/policy.yaml", policy(w.Upstream("~/.config/nacre/authority.pem"))))
	set := exec.CommandContext(ctx, nacre, "secret", "set", "anthropic")
	set.Env, set.Stdin = s.environment(), strings.NewReader(s.key())
	if out, failed := set.CombinedOutput(); failed != nil {
		err = errors.Join(err, fmt.Errorf("nacre secret set: %w %s", failed, out))
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// leaks names the secrets that a text holds.
func (s *stage) leaks(text string) (names []string) {
	for name, token := range s.tokens {
		if strings.Contains(text, token) {
			names = append(names, name)
		}
	}
	return names
}

// touched names the canary files that are no longer as they were planted.
func (s *stage) touched() (names []string) {
	for _, name := range []string{sshKey, cloud, dotEnv, bashrc} {
		b, err := os.ReadFile(filepath.Join(s.home, name))
		if err != nil || strings.Count(string(b), "\n") > 2 || len(s.leaks(string(b))) != 1 {
			names = append(names, name)
		}
	}
	return names
}

// changed names the project's files that differ from the demo's own, or that
// the demo does not have. Its contents are only compared.
func (s *stage) changed(files string) (names []string, err error) {
	err = filepath.WalkDir(s.project(), func(path string, e fs.DirEntry, err error) error {
		switch {
		case err == nil && e.Name() == ".git":
			return fs.SkipDir
		case err != nil || e.IsDir() || path == filepath.Join(s.home, dotEnv):
			return err
		}
		name, err := filepath.Rel(s.project(), path)
		if err != nil {
			return err
		}
		was, missing := os.ReadFile(filepath.Join(files, "shop", name))
		is, err := readRegular(path)
		if missing != nil || err != nil || !bytes.Equal(was, is) {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// readRegular reads what an agent may have put in place of a file, without
// following it anywhere.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// message is what an attempt came to, as the agent says.
type message struct{ Verb, Got, Errno, Said string }

// environment is what every program on the stage is started with.
func (s *stage) environment() []string {
	env := []string{"HOME=" + s.home, "LANG=C.UTF-8", "PATH=" + os.Getenv("PATH"), "DEMO_SECRET=" + s.tokens["environment"]}
	for _, name := range []string{"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"} {
		if v := os.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// run runs a program in the project and hears each event that comes out; what it
// prints besides goes to notes. Nothing it says is believed for being said: lines
// are decoded strictly and are limited.
func (s *stage) run(ctx context.Context, program string, args, more []string, hear func(assistant.Event), notes func(string, ...any)) (code int, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = s.project(), append(s.environment(), more...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var e assistant.Event
		if d.Decode(&e) == nil && hear != nil {
			hear(e)
		}
	}
	_, _ = io.Copy(io.Discard, out)
	err = cmd.Wait()
	if notes != nil {
		for line := range strings.Lines(errs.String()) {
			notes("  nacre: %s", clean(strings.ReplaceAll(strings.TrimSpace(line), s.home, "~")))
		}
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if ended.ExitCode() == 125 { // Nacre itself refused or failed
			return 0, fmt.Errorf("nacre refused:\n%s", errs.String())
		}
		return ended.ExitCode(), nil
	}
	return 0, err
}
