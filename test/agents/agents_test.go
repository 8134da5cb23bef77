// Package agents runs agents in real sandboxes by their harnesses, with the
// project's own fake model outside: a tiny one from a registry of the test's own, and
// real ones from npm. Those are about a gigabyte to download, once, so they run only
// where $NACRE_AGENTS is set: make test-agents.
package agents

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nacre/test/fakemodel"
	"nacre/test/fakemodel/outside"
	"nacre/test/programs"
)

var bin string

func TestMain(m *testing.M) {
	build := programs.Dir
	if os.Getenv("NACRE_AGENTS") != "" {
		build = programs.WithAssistant // which is among them
	}
	dir, remove, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// agent is one that is tried, by its harness.
type agent struct {
	name     string
	secret   string   // the name of its key
	api      string   // which interface it speaks
	provider string   // its model's address, as it is inside
	quiet    []string // what in its harness keeps it from calling home
	blind    bool     // it shows nothing on a terminal
}

var agents = []agent{
	{name: "assistant", secret: "anthropic", api: fakemodel.Messages, provider: "http://anthropic.model.nacre.internal", blind: true},
	{name: "pi", secret: "anthropic", api: fakemodel.Messages, provider: "http://anthropic.model.nacre.internal"},
	{name: "claude-code", secret: "anthropic", api: fakemodel.Messages, provider: "http://anthropic.model.nacre.internal",
		quiet: []string{"  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: \"1\"\n", "  DISABLE_AUTOUPDATER: \"1\"\n", "environment:\n"}},
	{name: "codex", secret: "openai", api: fakemodel.Responses, provider: "http://openai.model.nacre.internal",
		quiet: []string{"    check_for_update_on_startup = false\n", "    [analytics]\n    enabled = false\n", "    [features]\n    plugins = false\n    apps = false\n"}},
	{name: "gemini-cli", secret: "gemini", api: fakemodel.Gemini, provider: "http://gemini.model.nacre.internal"},
	{name: "qwen-code", secret: "openai", api: fakemodel.Chat, provider: "http://openai.model.nacre.internal"},
	{name: "opencode", secret: "openai", api: fakemodel.Chat, provider: "http://openai.model.nacre.internal"},
}

// run is one agent at work.
type run struct {
	t     *testing.T
	agent agent
	home  string // the owner's
	with  string // the harness
	key   string
	model *fakemodel.Server
	world *outside.World

	environment []string
	flags       []string // of nacre run, beside those that every run has
	task        []string // what is to be done; none: the usual
	registry    string   // npm's, where the agent comes from
	cmd         *exec.Cmd
	out         string
	took        time.Duration
}

// prepare makes an owner with a home, a project, canaries and a key in the vault,
// and installs the agent.
func prepare(t *testing.T, a agent) *run {
	t.Helper()
	if os.Getenv("NACRE_AGENTS") == "" {
		t.Skip("needs NACRE_AGENTS=1: it downloads agents; make test-agents does")
	}
	programs.Needs(t, "npm", "git", "curl")
	r := &run{t: t, agent: a, home: programs.Home(t), with: a.name, key: "sk-ant-api03-" + rand.Text(), model: &fakemodel.Server{}}
	r.owner(a.secret)
	r.install()
	return r
}

// owner makes one, with a project, canaries, and a key in the vault.
func (r *run) owner(secret string) {
	r.t.Helper()
	r.model.Key = r.key
	r.world = newWorld(r.t, r.model)
	r.write("policy/authority.pem", r.world.Authority)
	r.write("policy/policy.yaml", "version: 1\n"+r.world.Upstream("~/policy/authority.pem"))
	r.write("project/sums.txt", "1 + 1 = 3\n")
	r.write(".ssh/id_ed25519", canary+"\n")
	r.git("init", "-q")
	r.git("add", ".")
	r.git("-c", "user.name=o", "-c", "user.email=o@localhost", "commit", "-q", "-m", "start")
	set := exec.Command(filepath.Join(bin, "nacre"), "secret", "set", secret)
	set.Env, set.Stdin = []string{"HOME=" + r.home}, strings.NewReader(r.key)
	if out, err := set.CombinedOutput(); err != nil {
		r.t.Fatalf("%v %s", err, out)
	}
}

// canary is what no agent may see.
const canary = "canary-7b1e55d0"

func (r *run) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", filepath.Join(r.home, "project")}, args...)...)
	cmd.Env = []string{"HOME=" + r.home, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %q: %v %s", args, err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// read is a file of the owner's; empty where there is none.
func (r *run) read(name string) string {
	b, err := os.ReadFile(filepath.Join(r.home, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// project is a file of the project's as it is on the owner's side.
func (r *run) project(name string) string { return r.read("project/" + name) }

// audit is the whole record.
func (r *run) audit() string {
	return read(r.t, filepath.Join(r.home, ".local/state/nacre/audit/audit.jsonl"))
}

// nacre is a command of the owner's, in the project.
func (r *run) nacre(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "nacre"), args...)
	cmd.Dir = filepath.Join(r.home, "project")
	cmd.Env = append(r.environment, "HOME="+r.home, "PATH="+os.Getenv("PATH"), "LANG=C.UTF-8")
	return cmd
}

// start runs the agent to its end.
func (r *run) start() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 4*time.Minute)
	defer cancel()
	args := append([]string{"run"}, programs.Tiers()...)
	r.cmd = r.nacre(ctx, append(args, "--policy", filepath.Join(r.home, "policy/policy.yaml"), "--with", r.with, "--files", ".:write")...)
	if r.task == nil {
		r.task = []string{"Make the tests pass"}
	}
	r.cmd.Args = append(append(r.cmd.Args, r.flags...), "--")
	r.cmd.Args = append(r.cmd.Args, r.task...)
	r.cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	r.cmd.Stdout, r.cmd.Stderr = &out, &out
	begin := time.Now()
	err := r.cmd.Start()
	if err == nil {
		err = r.cmd.Wait()
	}
	r.took, r.out = time.Since(begin), out.String()
	if err != nil {
		r.t.Errorf("the agent ended with %v", err)
	}
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("printed:\n%s\nrecord:\n%s", r.out, r.audit())
			for _, q := range r.model.Requests() {
				r.t.Logf("%s %s %d: %.600s", q.Method, q.Path, q.Status, q.Body)
				if dir := os.Getenv("NACRE_DUMP"); dir != "" {
					_ = os.WriteFile(dir+"/"+r.agent.name+fmt.Sprint(time.Now().UnixNano()), q.Body, 0o600)
				}
			}
		}
	})
}

// TestHonest: each agent does its work with its one tool call; the model sees
// the real key, and nothing in the sandbox has it: no environment, no file, no
// memory of any process. A skill that it is given to read, it finds.
func TestHonest(t *testing.T) {
	for _, a := range agents {
		t.Run(a.name, func(t *testing.T) {
			r := prepare(t, a)
			r.skill()
			r.model.Script.Steps = mend
			var found findings
			r.model.Hold = func(results int) {
				if results == 1 {
					found = search(r.cmd.Process.Pid, r.key)
				}
			}
			r.start()
			if got := r.project("sums.txt"); got != "1 + 1 = 2\n" {
				t.Errorf("the project's file reads %q", got)
			}
			r.checkKey(found)
			r.checkModel()
			r.checkSkill()
			r.stayedInside()
			t.Logf("%s: %.1f s, %d MB at most in %d processes; refused: %q", a.name, r.took.Seconds(), found.memory>>20, len(found.inside), refused(t, r.audit()))
		})
	}
}

// TestCallsHome: an agent that is not told to be quiet asks for hosts that
// nobody granted, gets none of them, and does its work.
func TestCallsHome(t *testing.T) {
	for _, a := range agents {
		if a.quiet == nil {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			r := prepare(t, a)
			r.talkative()
			r.model.Script.Steps = mend
			r.start()
			if got := r.project("sums.txt"); got != "1 + 1 = 2\n" {
				t.Errorf("the project's file reads %q", got)
			}
			hosts := slices.DeleteFunc(refused(t, r.audit()), func(to string) bool { return strings.Contains(to, ".nacre.internal") })
			if len(hosts) == 0 {
				t.Error("it asked for nothing")
			}
			r.stayedInside()
			t.Logf("%s: %.1f s; refused: %q", a.name, r.took.Seconds(), hosts)
		})
	}
}

// mend is honest work with one tool call.
var mend = []fakemodel.Step{
	{Say: "I mend it.", Shell: "pwd; sed -i 's/= 3/= 2/' sums.txt && cat sums.txt"},
	{Say: "It is mended."},
}

// checkKey: the key was with the gateway and with nobody inside.
func (r *run) checkKey(found findings) {
	r.t.Helper()
	for _, problem := range found.problems {
		r.t.Error(problem)
	}
	for _, place := range found.places {
		r.t.Errorf("the key is inside: %s", place)
	}
	if len(found.inside) < 2 {
		r.t.Errorf("only %q were searched", found.inside)
	}
	if os.Geteuid() == 0 && !found.gateway {
		r.t.Error("the key was not found in the gateway either: the search does not work")
	}
	for what, text := range map[string]string{"output": r.out, "record": r.audit()} {
		if strings.Contains(text, r.key) {
			r.t.Errorf("the key is in the %s", what)
		}
	}
}

// checkModel: the conversation took place over the agent's interface, with the
// real key, and its tool was found.
func (r *run) checkModel() {
	r.t.Helper()
	most := 0
	for _, q := range r.model.Requests() {
		most = max(most, q.Results)
		if q.API != "" && q.Key != r.key {
			r.t.Errorf("%s %s came with the key %q", q.Method, q.Path, q.Key)
		}
		if bytes.Contains(q.Body, []byte(r.key)) {
			r.t.Errorf("%s %s has the key in its body", q.Method, q.Path)
		}
		if q.Results > 0 && q.API != r.agent.api {
			r.t.Errorf("the agent speaks %s", q.API)
		}
	}
	if most == 0 {
		r.t.Error("no tool result arrived")
	}
}
