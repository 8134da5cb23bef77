package toolserver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/gateway/launch"
	"nacre/runs"
	"nacre/test/programs"
	"nacre/toolserver"
)

var bin string

// TestMain builds the programs. As a skill's server, or as a supervisor that is to be
// killed, it is something else.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		if os.Args[2] == "lines" || os.Args[2] == "http" {
			honest(os.Args[2])
		}
		serve(os.Args[2])
		return
	case len(os.Args) == 3 && os.Args[1] == "use":
		use(os.Args[2])
		return
	case len(os.Args) == 4 && os.Args[1] == "supervise":
		supervise(os.Args[2], os.Args[3])
		return
	}
	dir, remove, err := programs.Dir()
	if err != nil {
		panic(err)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// memory is an audit that keeps events.
type memory struct {
	mu     sync.Mutex
	events []nacre.Event
}

func (a *memory) Record(_ context.Context, e nacre.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
	return nil
}

func (a *memory) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, e := range a.events {
		fmt.Fprintf(&b, "%s %s %s: %s %v\n", e.Kind, e.Decision, e.Detail["to"], e.Reason, e.Detail)
	}
	return b.String()
}

// world is an owner with skills, and an agent that uses them.
type world struct {
	home, bin string
	answer    string // how long one answer may take
	store     *runs.Store
	audit     *memory
	engine    *native.Engine
	plan      nacre.Plan
	out       output
}

// output is what an agent prints.
type output struct {
	mu sync.Mutex
	strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Builder.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Builder.String()
}

// newWorld is one with its runs where the skills' supervisors have theirs.
func newWorld(home, bin string) (*world, error) {
	store, err := runs.Open(os.Geteuid(), runs.Folder(os.Geteuid(), "", filepath.Join(home, ".local/state/nacre")))
	if err != nil {
		return nil, err
	}
	w := &world{home: home, bin: bin, answer: "1m", store: store, audit: &memory{}}
	w.engine = &native.Engine{Init: filepath.Join(bin, "nacre-init"), Runs: store, Audit: w.audit,
		Gateways: &launch.Launcher{Program: filepath.Join(bin, "nacre-gateway"), Resolvers: []string{"127.0.0.1:1"}, Skills: w.start}}
	w.plan = nacre.Plan{
		Version: 1, Subject: nacre.Subject{Path: filepath.Join(home, "agent.yaml")}, Workdir: "/home/agent", Image: nacre.Image{Kind: nacre.ImageHost},
		Identity: nacre.Identity{UID: 1000, Hostname: "box"}, Loopback: true,
		Limits: nacre.Limits{Memory: 1 << 30, CPUs: 2, Processes: 256, OpenFiles: 4096,
			Disk: 64 << 20, Output: 16 << 20, Time: 2 * time.Minute},
		Environment: []nacre.Variable{{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"}, {Name: "HOME", Value: "/home/agent"}},
	}
	for _, flag := range programs.Tiers() {
		if flag != "--accept" {
			w.plan.Accepted = append(w.plan.Accepted, nacre.Tier(flag))
		}
	}
	return w, nil
}

func forTest(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(programs.Home(t), bin)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// start starts a skill's server, as nacre run does for an agent.
func (w *world) start(name string) (*toolserver.Server, error) {
	folder := filepath.Join(w.home, "skills", name)
	t, err := toolserver.Read(folder)
	if err != nil {
		return nil, err
	}
	return toolserver.Start(name, t.Patience(), func(events string) *exec.Cmd {
		args := append([]string{"nacre", "run", "--quiet", "--tty=never", "--json-events", events}, programs.Tiers()...)
		return &exec.Cmd{Path: filepath.Join(w.bin, "nacre"), Args: append(args, "--tool", folder), Env: []string{"HOME=" + w.home, "PATH=/usr/bin:/bin"}}
	})
}

// skill writes a skill whose server is this very program, and grants the agent its
// tools, under the skill's name.
func (w *world) skill(t *testing.T, name, capabilities string, detail map[string]string) {
	t.Helper()
	folder := filepath.Join(w.home, "skills", name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"SKILL.md": "---\nname: " + name + "\ndescription: Tools of a test.\n---\n", "server": string(self),
		"tool.yaml": "version: 1\ncommand: [./server, serve, " + name + "]\nanswer: " + w.answer + "\n", "capabilities.yaml": "version: 1\nname: " + name + "\n" + capabilities,
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), map[bool]os.FileMode{true: 0o755, false: 0o644}[file == "server"]); err != nil {
			t.Fatal(err)
		}
	}
	detail["skill"] = name
	w.plan.Tools = append(w.plan.Tools, nacre.NamedGrant{Grant: nacre.Grant{ID: fmt.Sprintf("tools.%d", len(w.plan.Tools)+1)}, Name: name, Detail: detail})
}

// begin starts an agent.
func (w *world) begin(command ...string) (nacre.Sandbox, error) {
	w.plan.Command = command
	w.plan.Digest = compile.Digest(w.plan)
	return w.engine.Start(context.Background(), w.plan, nacre.Streams{Out: &w.out, Err: &w.out})
}

// run runs a script as the agent, and returns what it prints.
func (w *world) run(t *testing.T, script string) string {
	t.Helper()
	box, err := w.begin("sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Wait(); err != nil {
		t.Error(err)
	}
	return w.out.String()
}

// post is a request from inside, as curl makes it, after a line with its name.
func post(server, name, body string, headers ...string) string {
	s := "echo '<" + name + ">'; curl -sS -m 60 -H 'Content-Type: application/json'"
	for _, h := range headers {
		s += " -H '" + h + "'"
	}
	return s + " --data-binary '" + body + `' "$NACRE_TOOLS_` + strings.ToUpper(server) + `" | tail -c 3000; echo; `
}

func call(server, tool string) string {
	return post(server, tool, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"`+tool+`","arguments":{}}}`)
}

func list(server string) string {
	return post(server, "list", `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`)
}

// said is what an agent was answered after a line with a name.
func said(out, name string) string {
	_, after, _ := strings.Cut(out, "<"+name+">\n")
	after, _, _ = strings.Cut(after, "\n<")
	return after
}

func has(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("lacks %q:\n%.4000s", w, text)
		}
	}
}

// running are the sandboxes of this world, whoever else has some.
func (w *world) running() (ids []string, err error) {
	all, err := w.store.List()
	for _, r := range all {
		if strings.HasPrefix(r.Subject, w.home) {
			ids = append(ids, r.ID)
		}
	}
	return ids, err
}

// empty waits until no sandbox is left, and says what is.
func (w *world) empty() error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := w.store.Sweep(); err != nil {
			return err
		}
		left, err := w.running()
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("still there: %v", left)
		}
	}
}
