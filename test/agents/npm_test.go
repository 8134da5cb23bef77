package agents

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nacre/skills"
	"nacre/test/programs"
)

// room is what has to be free on the disk before something is installed.
const room = 2 << 30

// install has nacre install the agent, in a cache that outlives the test, from the
// registry that npm is told of.
func (r *run) install() {
	r.t.Helper()
	cache := os.Getenv("NACRE_CACHE")
	if cache == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			r.t.Skipf("needs a cache folder: %v", err)
		}
		cache = filepath.Join(home, "nacre")
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(cache), &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < room {
		r.t.Skipf("needs 2 GiB of disk in %s: %v", cache, err)
	}
	out, err := exec.Command("npm", "config", "get", "registry").Output()
	registry, bad := url.Parse(strings.TrimSpace(string(out)))
	if err != nil || bad != nil {
		r.t.Skipf("needs npm's registry: %v %v", err, bad)
	}
	r.environment = []string{"XDG_CACHE_HOME=" + filepath.Dir(cache), "npm_config_registry=" + registry.String()}
	// The record of what was installed outlives this owner too.
	kept, records := filepath.Join(cache, "records"), filepath.Join(r.home, ".local/state/nacre/layers")
	r.carry(kept, records)
	r.registry = registry.Hostname() + ":443"
	r.world.Installs(r.registry)
	defer r.world.Installs("")
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	args := append([]string{"harness", "install"}, programs.Tiers()...)
	if out, err := r.nacre(ctx, append(args, "--policy", filepath.Join(r.home, "policy/policy.yaml"), r.agent.name)...).CombinedOutput(); err != nil {
		if gone := reachable(r.t.Context(), registry.String()); gone != nil {
			r.t.Skipf("needs npm's registry to answer: %v", gone)
		}
		r.t.Fatalf("%s cannot be installed: %v %s", r.agent.name, err, out)
	}
	if os.Geteuid() == 0 {
		r.carry(records, kept)
	}
}

// reachable tells why a registry does not answer; whatever it answers is an answer.
func reachable(ctx context.Context, registry string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, registry, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(q)
	if err == nil {
		answer.Body.Close()
	}
	return err
}

// TestReachable: a registry that refuses is one that answers, and no reason to skip.
func TestReachable(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	if err := reachable(t.Context(), web.URL); err != nil {
		t.Error(err)
	}
	web.Close()
	if err := reachable(t.Context(), web.URL); err == nil {
		t.Error("one that is not there answers")
	}
}

// carry copies files into a folder.
func (r *run) carry(from, to string) {
	r.t.Helper()
	names, _ := filepath.Glob(from + "/*.json")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.MkdirAll(to, 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(name)), text, 0o600)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// talkative makes a skill of the owner's out of the harness, without what keeps
// the agent quiet, and lets the policy allow what it asks for.
func (r *run) talkative() {
	r.t.Helper()
	from := "harness/" + r.agent.name
	entries, err := skills.Files.ReadDir(from)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		text, err := skills.Files.ReadFile(from + "/" + e.Name())
		if err != nil {
			r.t.Fatal(err)
		}
		content := string(text)
		for _, quiet := range r.agent.quiet {
			if e.Name() == "harness.yaml" && !strings.Contains(content, quiet) {
				r.t.Fatalf("the harness has no %q", quiet)
			}
			content = strings.Replace(content, quiet, "", 1)
		}
		r.write("skills/"+r.agent.name+"/"+e.Name(), content)
	}
	r.with = filepath.Join(r.home, "skills", r.agent.name)
	text := r.read("skills/" + r.agent.name + "/capabilities.yaml")
	_, asked, _ := strings.Cut(text, "models:")
	r.write("policy/policy.yaml", r.read("policy/policy.yaml")+"models:"+asked)
}
