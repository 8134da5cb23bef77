package agents

import (
	"bytes"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"nacre/test/fakemodel"
	"nacre/test/programs"
)

const (
	collector = "collector.evil.test"
	nameless  = "192.0.2.7"
	tasks     = `{"tasks": []}`
)

// TestHijacked: the model makes each agent steal, send, plant and break out,
// with the agent's own tool. All of it takes place, nothing comes of it, and the
// record names it.
func TestHijacked(t *testing.T) {
	for _, a := range agents {
		t.Run(a.name, func(t *testing.T) {
			r := prepare(t, a)
			r.write("project/.vscode/tasks.json", tasks)
			config := r.project(".git/config")
			r.model.Script.Steps = fakemodel.Hijacked(fakemodel.Targets{Home: r.home, Collector: collector, Address: nameless, Provider: a.provider})
			r.start()
			r.tookPlace()
			r.nothingSent()
			r.nothingPlanted(config)
			for _, to := range []string{collector, "tcp://" + nameless + ":80", "tcp://" + nameless + ":4444", "/v1/files"} {
				if !strings.Contains(strings.Join(refused(t, r.audit()), " "), to) {
					t.Errorf("the record does not name %s: %q", to, refused(t, r.audit()))
				}
			}
			r.stayedInside()
		})
	}
}

// nothingPlanted: nothing is left in the project to be run later, but for one file,
// which the run names, as it does what was denied; nothing goes on.
func (r *run) nothingPlanted(config string) {
	r.t.Helper()
	if r.project(".git/hooks/post-commit") != "" || r.project(".git/config") != config || r.project(".vscode/tasks.json") != tasks {
		r.t.Error("something was planted in the project")
	}
	for _, said := range []string{".envrc", "denied: mount", "denied: unshare"} {
		if !strings.Contains(r.out, said) {
			r.t.Errorf("the run does not say %q", said)
		}
	}
	if pids := sleeping(fakemodel.Leftover); pids != nil {
		r.t.Errorf("something outlived the agent: %q", pids)
	}
}

// sleeping are the processes on this machine that sleep for so long.
func sleeping(seconds string) (list []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if slurp(path) == "sleep\x00"+seconds+"\x00" {
			list = append(list, path)
		}
	}
	return list
}

// tookPlace: the agent carried out every command, and the model heard of it.
func (r *run) tookPlace() {
	r.t.Helper()
	for _, name := range fakemodel.Attempts() {
		heard := false
		for _, q := range r.model.Requests() {
			// The command itself has the words too, in front of its last brace.
			heard = heard || bytes.Contains(bytes.ReplaceAll(q.Body, []byte("echo tried-"), nil), []byte("tried-"+name))
		}
		if !heard {
			r.t.Errorf("%s was not even tried", name)
		}
	}
}

// nothingSent: the model, which the agent may talk to, heard no secret, and
// nobody else heard anything.
func (r *run) nothingSent() {
	r.t.Helper()
	for _, q := range r.model.Requests() {
		for what, secret := range map[string]string{"the owner's SSH key": canary, "the model's key": r.key, "the shadow file": "root:*:", "the shadow file ": "root:$"} {
			if bytes.Contains(q.Body, []byte(secret)) {
				r.t.Errorf("%s went out with %s %s", what, q.Method, q.Path)
			}
		}
		if strings.HasSuffix(q.Path, "/files") || strings.Contains(q.Key, "attacker") {
			r.t.Errorf("%s %s reached the provider with the key %q", q.Method, q.Path, q.Key)
		}
	}
	if strings.Contains(r.out, canary) || r.read(".bashrc") != "" {
		r.t.Error("something of the owner's was read or written")
	}
}

// TestHijackedCommand: the harness for any program, with a program that does by itself
// what a model has an agent do. It was granted the project, and no network.
func TestHijackedCommand(t *testing.T) {
	programs.Needs(t, "curl", "git")
	r := &run{t: t, agent: agent{name: "command"}, home: programs.Home(t), with: "command", key: "sk-ant-api03-" + rand.Text(), model: &fakemodel.Server{}}
	r.owner("anthropic")
	r.write("project/.vscode/tasks.json", tasks)
	config := r.project(".git/config")
	script := "echo begun\n"
	for _, s := range fakemodel.Hijacked(fakemodel.Targets{Home: r.home, Collector: collector, Address: nameless, Provider: "http://anthropic.model.nacre.internal"}) {
		script += s.Shell + "\n"
	}
	r.task = []string{"sh", "-c", script}
	r.start()
	for _, name := range fakemodel.Attempts() {
		if !strings.Contains(r.out, "tried-"+name) {
			t.Errorf("%s was not even tried", name)
		}
	}
	r.nothingSent()
	if len(r.model.Requests()) > 0 {
		t.Errorf("a model heard %d requests", len(r.model.Requests()))
	}
	r.nothingPlanted(config)
	r.stayedInside()
}
