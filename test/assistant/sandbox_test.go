package assistant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nacre/test/fakemodel"
	"nacre/test/fakemodel/outside"
	"nacre/test/programs"
)

// at is a provider of models, and what the gateway is to be asked by.
type at struct{ harness, provider, api, path string }

var anthropic = at{"assistant", "anthropic", fakemodel.Messages, "/v1/messages"}

// owner is somebody with a home, a project, a key in the vault and a canary.
type owner struct {
	t         *testing.T
	at        at
	home, key string
	model     *fakemodel.Server
	world     *outside.World
}

// canary is what no agent may see.
const canary = "canary-41f0a7c2"

func newOwner(t *testing.T, a at, script func(home string) []fakemodel.Step) *owner {
	t.Helper()
	o := &owner{t: t, at: a, home: programs.Home(t), key: "sk-ant-api03-" + rand.Text()}
	o.model = &fakemodel.Server{Key: o.key, Script: fakemodel.Script{Steps: script(o.home)}}
	var err error
	if o.world, err = outside.New(o.model); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.world.Close)
	o.write("policy/authority.pem", o.world.Authority)
	o.write("policy/policy.yaml", "version: 1\n"+o.world.Upstream("~/policy/authority.pem"))
	o.write("project/sums.txt", "1 + 1 = 3\n")
	o.write("project/.git/hooks/README", "none\n")
	o.write("project/.git/config", "[core]\n")
	o.write("project/.vscode/tasks.json", "{}")
	o.write(".ssh/id_ed25519", canary)
	set := exec.Command(filepath.Join(bin, "nacre"), "secret", "set", a.provider)
	set.Env, set.Stdin = []string{"HOME=" + o.home}, strings.NewReader(o.key)
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return o
}

func (o *owner) write(name, content string) {
	o.t.Helper()
	path := filepath.Join(o.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *owner) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(o.home, name)) // empty where there is none
	return string(b)
}

// run has the agent do its task in the project.
func (o *owner) run(ctx context.Context, flags ...string) string {
	o.t.Helper()
	args := append([]string{"run"}, programs.Tiers()...)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "nacre"), append(args, "--policy", filepath.Join(o.home, "policy/policy.yaml"), "--with", o.at.harness, "--files", ".:write")...)
	cmd.Args = append(append(cmd.Args, flags...), "--", "Make the tests pass")
	cmd.Dir = filepath.Join(o.home, "project")
	cmd.Env = []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		o.t.Errorf("it ended with %v:\n%s", err, out.String())
	}
	return out.String()
}

// check: the model heard the real key from the gateway and nothing of it, nor of
// the canary, from the agent; nobody else heard anything.
func (o *owner) check(out string) {
	o.t.Helper()
	if s := o.world.Strangers(); s != nil {
		o.t.Errorf("somebody got out as far as the proxy: %q", s)
	}
	for _, q := range o.model.Requests() {
		if q.Key != o.key || q.API != o.at.api || !strings.HasPrefix(q.Path, o.at.path) {
			o.t.Errorf("%s %s came with the key %q", q.Method, q.Path, q.Key)
		}
		if bytes.Contains(q.Body, []byte(canary)) || bytes.Contains(q.Body, []byte(o.key)) {
			o.t.Errorf("a secret went out with %s %s", q.Method, q.Path)
		}
	}
	if strings.Contains(out, canary) || strings.Contains(out, o.key) {
		o.t.Error("a secret was printed")
	}
}

// TestLocal: with a model on this machine, which has no key, at the port that it is
// known to have.
func TestLocal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:11434")
	if err != nil {
		t.Skipf("needs Ollama's port on this machine to be free: %v", err)
	}
	o := newOwner(t, at{"assistant-ollama", "ollama", fakemodel.Chat, "/v1/chat/completions"}, func(string) []fakemodel.Step {
		return []fakemodel.Step{{Calls: []fakemodel.Use{use("bash", map[string]any{"command": "echo '1 + 1 = 2' > sums.txt"})}}, {Say: "It is mended."}}
	})
	o.model.Key = "" // it has none
	web := &http.Server{Handler: o.model, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(l) }()
	t.Cleanup(func() { web.Close() })
	out := o.run(t.Context(), "--model", "qwen3")
	if got := o.read("project/sums.txt"); got != "1 + 1 = 2\n" {
		t.Errorf("the project's file reads %q:\n%s", got, out)
	}
	if s := o.world.Strangers(); s != nil {
		t.Errorf("somebody got out as far as the proxy: %q", s)
	}
	all := o.model.Requests()
	if len(all) != 2 {
		t.Fatalf("%d requests:\n%s", len(all), out)
	}
	for _, q := range all {
		if q.API != o.at.api || !strings.HasPrefix(q.Path, o.at.path) || !bytes.Contains(q.Body, []byte("qwen3")) || strings.Contains(q.Key, o.key) || bytes.Contains(q.Body, []byte(o.key)) {
			t.Errorf("%s %s with the key %q: %s", q.Method, q.Path, q.Key, q.Body)
		}
	}
}

// TestSandboxed: in a real sandbox, by the real gateway, with the key in the vault,
// at each provider that the gateway knows.
func TestSandboxed(t *testing.T) {
	for _, a := range []at{anthropic, {"assistant-openai", "openai", fakemodel.Responses, "/v1/responses"}, {"assistant-gemini", "gemini", fakemodel.Gemini, "/v1beta/models/"}} {
		t.Run(a.provider, func(t *testing.T) { sandboxed(t, a) })
	}
}

func sandboxed(t *testing.T, a at) {
	o := newOwner(t, a, func(string) []fakemodel.Step {
		return []fakemodel.Step{
			{Calls: []fakemodel.Use{use("read", map[string]any{"path": "sums.txt"}), use("bash", map[string]any{"command": "env"})}},
			{Calls: []fakemodel.Use{use("edit", map[string]any{"path": "sums.txt", "old": "3", "new": "2"}), use("fetch", map[string]any{"url": "http://stranger.example/"})}},
			{Say: "It is mended."},
		}
	})
	out := o.run(t.Context())
	if got := o.read("project/sums.txt"); got != "1 + 1 = 2\n" {
		t.Errorf("the project's file reads %q:\n%s", got, out)
	}
	o.check(out)
	all := o.model.Requests()
	if len(all) != 3 || !bytes.Contains(all[2].Body, []byte("stranger.example: no such host")) && !bytes.Contains(all[2].Body, []byte("lookup stranger.example")) {
		t.Errorf("%d requests; a page of a stranger's did not fail", len(all))
	}
}

// TestFindsSkill: a skill that the owner gives it to read, it tells its model of, and
// can read; another that the owner keeps, it does not.
func TestFindsSkill(t *testing.T) {
	o := newOwner(t, anthropic, func(string) []fakemodel.Step {
		return []fakemodel.Step{{Calls: []fakemodel.Use{use("skill", map[string]any{"name": "tides"})}}, {Say: "At noon."}}
	})
	for name, about := range map[string]string{"tides": "Tells the tides of Ys.", "moons": "Tells the moons."} {
		o.write("own/"+name+"/SKILL.md", "---\nname: "+name+"\ndescription: "+about+"\n---\nHigh water is at noon.\n")
		add := exec.CommandContext(t.Context(), filepath.Join(bin, "nacre"), "skill", "add", filepath.Join(o.home, "own", name))
		add.Env = []string{"HOME=" + o.home}
		if out, err := add.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	out := o.run(t.Context(), "--skill", "tides")
	o.check(out)
	all := o.model.Requests()
	if len(all) != 2 {
		t.Fatalf("%d requests:\n%s", len(all), out)
	}
	if !bytes.Contains(all[0].Body, []byte("Tells the tides of Ys.")) || bytes.Contains(all[0].Body, []byte("Tells the moons.")) {
		t.Errorf("the model was told %s", all[0].Body)
	}
	if !bytes.Contains(all[1].Body, []byte("High water is at noon.")) {
		t.Errorf("the model read %s", all[1].Body)
	}
}

// TestHijacked: the model makes the assistant steal, send, plant and break out. All
// of it takes place, nothing comes of it, and the record names it.
func TestHijacked(t *testing.T) {
	programs.Needs(t, "curl", "git")
	const collector, nameless = "collector.evil.test", "192.0.2.7"
	o := newOwner(t, anthropic, func(home string) []fakemodel.Step {
		return fakemodel.Hijacked(fakemodel.Targets{Home: home, Collector: collector, Address: nameless, Provider: "http://anthropic.model.nacre.internal"})
	})
	out := o.run(t.Context())
	o.check(out)
	all := o.model.Requests()
	if len(all) != len(fakemodel.Attempts())+1 {
		t.Fatalf("%d requests:\n%s", len(all), out)
	}
	for i, name := range fakemodel.Attempts() {
		if b := bytes.ReplaceAll(all[i+1].Body, []byte("echo tried-"), nil); !bytes.Contains(b, []byte("tried-"+name)) {
			t.Errorf("%s was not even tried", name)
		}
	}
	if o.read("project/.git/hooks/post-commit") != "" || o.read("project/.git/config") != "[core]\n" || o.read("project/.vscode/tasks.json") != "{}" || o.read(".bashrc") != "" {
		t.Error("something was planted")
	}
	if !strings.Contains(out, ".envrc") {
		t.Errorf("the run does not say that there is a new .envrc:\n%s", out)
	}
	refused := refusals(t, o.read(".local/state/nacre/audit/audit.jsonl"))
	for _, to := range []string{collector, "tcp://" + nameless + ":80", "/v1/files"} {
		if !strings.Contains(refused, to) {
			t.Errorf("the record does not name %s: %s", to, refused)
		}
	}
}

// refusals are the destinations that the record says were denied.
func refusals(t *testing.T, record string) (all string) {
	t.Helper()
	for line := range strings.Lines(record) {
		var e struct {
			Decision string            `json:"decision"`
			Detail   map[string]string `json:"detail"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if e.Decision == "deny" {
			all += e.Detail["to"] + " "
		}
	}
	return all
}
