package launch

import (
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
)

// TestGit: fetch is one capability, a push to named refs another, and a secret
// lets git in without git having it.
func TestGit(t *testing.T) {
	backend := "/usr/lib/git-core/git-http-backend"
	if _, err := os.Stat(backend); err != nil {
		t.Skipf("needs git http-backend: %v", err)
	}
	root := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "HOME="+root, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	bare, tree := filepath.Join(root, "acme", "site.git"), filepath.Join(root, "tree")
	git("init", "-q", "--bare", "-b", "main", bare)
	git("-C", bare, "config", "http.receivepack", "true")
	git("init", "-q", "-b", "main", tree)
	if err := os.WriteFile(filepath.Join(tree, "file"), []byte("what is in it\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	git("-C", tree, "add", "file")
	git("-C", tree, "commit", "-qm", "first")
	git("-C", tree, "push", "-q", bare, "main")
	w := newWorld(t)
	l := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, p, ok := r.BasicAuth(); !ok || p != canary {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		(&cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=agent", "HOME=" + root,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}).ServeHTTP(rw, r)
	}), "git.test")
	w.grant("git.test", l, func(g *nacre.NetworkGrant) {
		g.Methods, g.Paths, g.Push = []string{"FETCH", "PUSH"}, []string{"/acme/site.git/**"}, []string{"refs/heads/agent/*"}
	})
	w.secret("token", canary, "basic", "git.test")
	url := "https://git.test:" + port(l)
	out := w.run("sh", "-c", `set -x; cd /tmp; export GIT_TERMINAL_PROMPT=0 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		git clone -q `+url+`/acme/site.git && cat site/file && cd site && head -c 3000000 /dev/urandom > big && git add big && git commit -qm more
		git push -q origin HEAD:refs/heads/agent/work && echo pushed where it may
		git push -q origin HEAD:main || echo not to main
		git push -q origin HEAD:refs/heads/agent/x HEAD:refs/tags/v1 || echo not to both
		git fetch -q && git log --oneline origin/agent/work | head -1
		git ls-remote `+url+`/acme/other.git || echo not another repository
		curl -sS `+url+`/acme/site.git/HEAD`)
	has(t, out, "what is in it", "pushed where it may", "not to main", "not to both", "more", "not another repository", "denied_by_sandbox")
	refs := git("-C", bare, "for-each-ref", "--format=%(refname)")
	if strings.TrimSpace(refs) != "refs/heads/agent/work\nrefs/heads/main" {
		t.Errorf("the refs are now %q", refs)
	}
	has(t, w.audit.refs(), "PUSH allow refs/heads/agent/work", "PUSH deny refs/heads/main", "PUSH deny refs/heads/agent/x refs/tags/v1")
}
