package boundary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/test/programs"
)

// server answers on this machine, slowly where it is asked to.
func server(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "served %s to %q\n", r.URL.Path, r.Header.Get("Authorization"))
		if r.URL.Path != "/stream" {
			return
		}
		for {
			if _, err := fmt.Fprintln(w, "still there"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// TestNetworkByGrant: manifest, policy, secret, run and record, all through the
// command line.
func TestNetworkByGrant(t *testing.T) {
	programs.Needs(t, "curl")
	o, port := newOwner(t), server(t)
	entry := "network: [{host: 127.0.0.1, as: api.test, scheme: http, ports: [" + port + "]}]\nsecrets: [{name: token, hosts: [api.test]}]\n"
	manifest := o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [sh, -c, 'curl -sS http://api.test:"+port+"/x; curl -sS -m 5 http://evil.test/; env; true']\n"+entry)
	policy := o.write("p/policy.yaml", "version: 1\n"+entry)
	if out, code := o.nacre("run", "--policy", policy, "--agent", manifest); code != refused || !strings.Contains(out, "there is no secret token") {
		t.Errorf("without the secret: %d %s", code, out)
	}
	set := exec.Command(filepath.Join(bin, "nacre"), "secret", "set", "token")
	set.Env, set.Stdin = []string{"HOME=" + o.home}, strings.NewReader("canary-of-a-secret")
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	out, code := o.nacre("run", "-q", "--policy", policy, "--agent", manifest)
	if code != 0 || !strings.Contains(out, `served /x to "Bearer ******************"`) || !strings.Contains(out, "Could not resolve host: evil.test") || strings.Contains(out, "canary-of") {
		t.Errorf("%d\n%s", code, out)
	}
	record, _ := os.ReadFile(filepath.Join(o.home, ".local/state/nacre/audit/audit.jsonl"))
	if text := string(record); !strings.Contains(text, "GET http://api.test:"+port+"/x") || !strings.Contains(text, "evil.test") || strings.Contains(text, "canary-of") {
		t.Errorf("the record:\n%s", text)
	}
	for ask, want := range map[string]int{"GET http://api.test:" + port + "/y": 0, "POST http://api.test:" + port + "/y": 1, "GET http://evil.test/": 1} {
		if out, code := o.nacre("explain", "--policy", policy, manifest, "network", ask); code != want {
			t.Errorf("explain %s: %d %s", ask, code, out)
		}
	}
}

// TestRevoked: what the policy no longer allows ends within a moment in a
// sandbox that runs, open connections too, and comes back with the policy.
func TestRevoked(t *testing.T) {
	programs.Needs(t, "curl")
	o, port := newOwner(t), server(t)
	entry := "network: [{host: 127.0.0.1, as: api.test, scheme: http, ports: [" + port + "]}]\n"
	at := "http://api.test:" + port
	script := "curl -sSN " + at + "/stream > /dev/null; echo the stream ended; until ! curl -sS -m 5 " + at + "/x; do sleep 0.05; done; echo closed; " +
		"until curl -sS -m 5 " + at + "/again; do sleep 0.05; done; echo open again"
	manifest := o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [sh, -c, '"+script+"']\nlimits: {time: 30s}\n"+entry)
	policy := o.write("p/policy.yaml", "version: 1\n"+entry)
	cmd, out := o.begin("--policy", policy, "--agent", manifest)
	record := filepath.Join(o.home, ".local/state/nacre/audit/audit.jsonl")
	reads := func(path string) func() string {
		return func() string { b, _ := os.ReadFile(path); return string(b) }
	}
	until(t, "/stream", reads(record))
	o.write("p/policy.yaml", "version: 1\n")
	until(t, "sandbox.reach", reads(record))
	until(t, "the stream ended", out.String)
	until(t, "closed", out.String)
	o.write("p/policy.yaml", "version: 1\n"+entry)
	until(t, "open again", out.String)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if text := reads(record)(); strings.Count(text, "sandbox.reach") < 2 {
		t.Errorf("the record:\n%s", text)
	}
}

// TestAllowedLater: what manifest and policy both say is reached by a sandbox that runs,
// and recorded with both plans; what the manifest does not declare is not, nor what needs
// a secret that it was not started with.
func TestAllowedLater(t *testing.T) {
	programs.Needs(t, "curl")
	o, port := newOwner(t), server(t)
	entry := func(name, more string) string {
		return "{host: 127.0.0.1, as: " + name + ", scheme: http, ports: [" + port + "]" + more + "}"
	}
	at := "http://api.test:" + port
	ask := func(url, word string) string {
		return "until curl -sS -m 5 " + url + " 2>&1 | grep " + word + "; do sleep 0.05; done; "
	}
	script := ask(at+"/x", "served") + ask("-d 1 "+at+"/post", "served") + ask("http://late.test:"+port+"/", "served") +
		"curl -sS http://undeclared.test:" + port + "/; curl -sS http://secret.test:" + port + "/; echo over; sleep 30"
	write := func(more string) string {
		return o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [sh, -c, '"+script+"']\nlimits: {time: 60s}\nnetwork:\n  - "+entry("api.test", "")+"\n"+more)
	}
	manifest := write("")
	policy := o.write("p/policy.yaml", "version: 1\nnetwork:\n  - "+entry("api.test", "")+"\n")
	id := "later-" + port
	running, out := o.begin("--name", id, "--policy", policy, "--agent", manifest)
	until(t, "served /x", out.String)
	write("  - " + entry("api.test", ", methods: [POST], paths: [/post]") + "\n  - " + entry("late.test", "") + "\n  - " + entry("secret.test", "") +
		"\nsecrets: [{name: token, hosts: [secret.test]}]\n")
	for _, line := range []string{"network: [" + entry("undeclared.test", "") + "]", "secrets: [{name: token, hosts: [secret.test]}]", "network: [" + entry("secret.test", "") + "]",
		"network: [" + entry("api.test", ", methods: [POST], paths: [/post]") + "]", "network: [" + entry("late.test", "") + "]"} {
		if out, code := o.nacre("policy", "allow", "--policy", policy, line); code != 0 {
			t.Fatal(out)
		}
	}
	until(t, "over", out.String)
	if text := out.String(); !strings.Contains(text, "served /post") || !strings.Contains(text, "resolve host: undeclared.test") || !strings.Contains(text, "resolve host: secret.test") {
		t.Errorf("%s", text)
	}
	record, _ := os.ReadFile(filepath.Join(o.home, ".local/state/nacre/audit/audit.jsonl"))
	for _, want := range []string{`"before":"sha256:`, `"after":"sha256:`, `"more":"network.2`, "late.test", "only a new start gives it", "secret.test", "(the secret token goes with it)", "secrets token"} {
		if !strings.Contains(string(record), want) {
			t.Errorf("the record lacks %q:\n%s", want, record)
		}
	}
	var last struct{ Detail map[string]string }
	for line := range strings.Lines(string(record)) {
		if strings.Contains(line, `"sandbox.reach"`) {
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	now, code := o.nacre("plan", "--json", "--running", id)
	var plan nacre.Plan
	err := json.Unmarshal([]byte(now), &plan)
	var names []string
	for _, n := range plan.Network {
		names = append(names, n.As)
	}
	if code != 0 || err != nil || strings.Join(names, " ") != "api.test api.test late.test" || plan.Digest != last.Detail["after"] || compile.Digest(plan) != plan.Digest {
		t.Errorf("%d %v %v %v %s", code, err, names, last.Detail, now)
	}
	if out, code := o.nacre("stop", id); code != 0 {
		t.Error(out)
	}
	_ = running.Wait()
	if text := out.String(); !strings.Contains(text, "only a new start gives it") {
		t.Errorf("%s", text)
	}
}

// begin begins a run, which is killed where the test ends first.
func (o owner) begin(args ...string) (*exec.Cmd, *collected) {
	o.t.Helper()
	cmd := exec.Command(filepath.Join(bin, "nacre"), append(append([]string{"run", "-q"}, programs.Tiers()...), args...)...)
	cmd.Env = []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH")}
	out := &collected{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out
}

func until(t *testing.T, word string, text func() string) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !strings.Contains(text(), word); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never %q:\n%s", word, text())
		}
	}
}

// collected is what a program has printed so far.
type collected struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *collected) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *collected) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}
