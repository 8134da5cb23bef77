package launch

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"nacre"
	"nacre/fault"
)

// sshKey is a new key, as it is kept and as it is shown.
func sshKey(t *testing.T) (private []byte, public ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), signer.PublicKey()
}

// gitHost is an SSH server outside, with repositories and who may log in.
type gitHost struct {
	root, user string
	port       int
	key        []byte // of who may
	host       ssh.PublicKey
	log        *buffer
}

// newGitHost runs Debian's SSH server, as whoever runs the test; where that user
// may not log in, a small one of our own.
func newGitHost(t *testing.T) *gitHost {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Skip("needs sshd (Debian: openssh-server)")
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("needs ssh (Debian: openssh-client)")
	}
	me, err := user.Current()
	if err != nil {
		t.Skipf("needs a user that the system knows: %v", err)
	}
	h := &gitHost{root: t.TempDir(), user: me.Username, log: &buffer{}}
	var hostKey []byte
	hostKey, h.host = sshKey(t)
	var public ssh.PublicKey
	h.key, public = sshKey(t)
	l := listen(t)
	h.port = l.Addr().(*net.TCPAddr).Port
	if shell := shellOf(me.Username); strings.HasSuffix(shell, "nologin") || strings.HasSuffix(shell, "false") {
		t.Logf("%s may not log in (%s): not sshd, a server of the test's own", me.Username, shell)
		h.serve(t, l, hostKey, public)
		return h
	}
	l.Close()
	for name, text := range map[string]string{"host": string(hostKey), "authorized": string(ssh.MarshalAuthorizedKey(public)),
		"config": fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %[2]s/host\nAuthorizedKeysFile %[2]s/authorized\nPidFile none\nUsePAM no\nStrictModes no\n"+
			"PasswordAuthentication no\nPermitRootLogin yes\nAcceptEnv *\nLogLevel VERBOSE\n", h.port, h.root)} {
		if err := os.WriteFile(filepath.Join(h.root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("needs /run/sshd: %v", err)
		}
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(h.root, "config"))
	cmd.Stderr = h.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 500 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", h.port)); err == nil {
			c.Close()
			return h
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("sshd does not answer:\n%s", h.log)
	return nil
}

func shellOf(name string) string {
	text, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name {
			return fields[len(fields)-1]
		}
	}
	return "nologin"
}

// git runs it outside.
func (h *gitHost) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "HOME="+h.root, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// repository makes one with a commit.
func (h *gitHost) repository(t *testing.T, name string) string {
	t.Helper()
	bare, tree := filepath.Join(h.root, name), filepath.Join(t.TempDir(), "tree")
	h.git(t, "init", "-q", "--bare", "-b", "main", bare)
	h.git(t, "init", "-q", "-b", "main", tree)
	if err := os.WriteFile(filepath.Join(tree, "file"), []byte("what is in it\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.git(t, "-C", tree, "add", "file")
	h.git(t, "-C", tree, "commit", "-qm", "first")
	h.git(t, "-C", tree, "push", "-q", bare, "main")
	return bare
}

// reach grants a git host, whose key is known as this one.
func (w *world) reach(h *gitHost, host ssh.PublicKey) {
	w.t.Helper()
	line := knownhosts.Line([]string{fmt.Sprintf("127.0.0.1:%d", h.port)}, host)
	file := filepath.Join(w.t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.launcher.KnownHosts = []string{file}
	w.plan.Network = append(w.plan.Network, nacre.NetworkGrant{Grant: nacre.Grant{ID: "network.git"}, Host: "127.0.0.1", As: "git.test", Ports: []int{h.port},
		Scheme: "ssh", Methods: []string{"FETCH", "PUSH"}, Paths: []string{h.root + "/acme.git/**"}, Push: []string{"refs/heads/agent/*"}})
	w.secret("key", string(h.key), "ssh:"+h.user, "git.test")
}

func (h *gitHost) url(repository string) string {
	return fmt.Sprintf("ssh://%s@git.test:%d%s/%s", h.user, h.port, h.root, repository)
}

const asSomebody = `cd /tmp; export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
`

// TestGitOverSSH: git, as it is, clones, fetches and pushes to what is granted,
// and to nothing else; the key that it does so with is not inside.
func TestGitOverSSH(t *testing.T) {
	h := newGitHost(t)
	bare := h.repository(t, "acme.git")
	h.git(t, "-C", bare, "config", "receive.advertisePushOptions", "true")
	h.repository(t, "other.git")
	w := newWorld(t)
	w.reach(h, h.host)
	out := w.run("sh", "-c", asSomebody+`
		git clone -q `+h.url("acme.git")+` site && cat site/file && cd site && head -c 3000000 /dev/urandom > big && git add big && git commit -qm more
		git push -q origin HEAD:refs/heads/agent/work && echo pushed where it may
		git push -q origin HEAD:main || echo not to main
		git push -q origin HEAD:refs/heads/agent/x HEAD:refs/tags/v1 || echo not to both
		git push -q -o merge origin HEAD:refs/heads/agent/y || echo not with options
		git fetch -q && git log --oneline origin/agent/work | head -1
		git ls-remote `+h.url("other.git")+` || echo not another repository
		git ls-remote `+strings.Replace(h.url("acme.git"), h.user+"@", "somebody@", 1)+` || echo not as somebody else
		ls ~/.ssh; env; cat /etc/ssh/*; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\0' '\n'`)
	has(t, out, "what is in it", "pushed where it may", "not to main", "is granted for pushes to refs/heads/agent/*", "not to both", "a push with options", "not with options", "more",
		"not another repository", "not as somebody else", "the program asks to be")
	if refs := h.git(t, "-C", bare, "for-each-ref", "--format=%(refname)"); strings.TrimSpace(refs) != "refs/heads/agent/work\nrefs/heads/main" {
		t.Errorf("the refs are now %q", refs)
	}
	has(t, w.audit.refs(), "PUSH allow refs/heads/agent/work", "PUSH deny refs/heads/main", "PUSH deny refs/heads/agent/x refs/tags/v1")
	if strings.Contains(out, "PRIVATE KEY") || strings.Contains(w.audit.String(), "PRIVATE KEY") {
		t.Error("a private key is inside, or in the record")
	}
	if e, ok := w.audit.find("network.request", "FETCH ssh://git.test"); !ok || !strings.HasPrefix(e.Detail["secrets"], "key ") {
		t.Errorf("the record does not name the key: %+v", e)
	}
}

// TestSSHIsForGit: all else that SSH can do is refused, with a sentence, and
// reaches nobody.
func TestSSHIsForGit(t *testing.T) {
	h := newGitHost(t)
	h.repository(t, "acme.git")
	w := newWorld(t)
	w.reach(h, h.host)
	at := fmt.Sprintf("-p %d %s@git.test", h.port, h.user)
	repository := h.root + "/acme.git"
	for name, command := range map[string]string{
		"a command":    "ssh " + at + " id",
		"a shell":      "ssh " + at + " </dev/null",
		"a second one": `ssh ` + at + ` "git-upload-pack '` + repository + `'; id"`,
		"substitution": `ssh ` + at + ` "git-upload-pack '` + repository + `\$(id)'"`,
		"an option":    `ssh ` + at + ` "git-upload-pack --strict '` + repository + `'"`,
		"archive":      `ssh ` + at + ` "git-upload-archive '` + repository + `'"`,
		"a home":       `ssh ` + at + ` "git-upload-pack '~/x'"`,
		"two paths":    `ssh ` + at + ` "git-upload-pack '` + repository + `/../other.git'"`,
		"sftp":         "sftp -P " + at[3:] + " </dev/null",
		"a forward":    "ssh -N -o ExitOnForwardFailure=yes -R 9:127.0.0.1:9 " + at,
		"a tunnel":     "ssh -W 127.0.0.1:22 " + at,
		"the agent":    `ssh-agent ssh -A ` + at + ` id`,
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.audit.forget()
			h.log.forget()
			out := w.run("sh", "-c", command+"; echo ended with $?")
			if strings.Contains(out, "ended with 0") || strings.Contains(out, "uid=") {
				t.Error("it was done")
			}
			if said := strings.Contains(out, "Nacre, the sandbox that you run in"); !said && name != "a forward" {
				t.Error("nothing says why")
			}
			if _, ok := w.audit.find("network.request", "ssh://git.test"); !ok || strings.Contains(h.log.String(), "Accepted") {
				t.Errorf("the record, or the server, says otherwise:\n%s", h.log)
			}
		})
	}
	w.t = t
	out := w.run("sh", "-c", `ssh -o SetEnv=FROM_INSIDE=1 `+at+` "git-upload-pack '`+repository+`'" </dev/null | tr '\0' '\n'`)
	has(t, out, "refs/heads/main")
}

// TestSSHHostKey: a server that is not the one that the owner knows is not
// logged in to; one that nobody knows is refused before anything runs.
func TestSSHHostKey(t *testing.T) {
	h := newGitHost(t)
	h.repository(t, "acme.git")
	w := newWorld(t)
	_, another := sshKey(t)
	w.reach(h, another)
	has(t, w.run("sh", "-c", "git ls-remote "+h.url("acme.git")+" || echo not there"), "its host key is not one that the owner's known_hosts has", "not there")
	if strings.Contains(h.log.String(), "Accepted") {
		t.Error("the key was used")
	}
	e, ok := w.audit.find("network.connect", "git.test")
	if !ok || e.Decision != nacre.Deny || !strings.Contains(e.Reason, "host key") {
		t.Errorf("the record: %+v", e)
	}
	text, err := os.ReadFile(w.launcher.KnownHosts[0])
	if err == nil {
		err = os.WriteFile(w.launcher.KnownHosts[0], append([]byte("@revoked * "), text[bytes.IndexByte(text, ' ')+1:]...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][]string{"revoked": w.launcher.KnownHosts, "nobody": {filepath.Join(h.root, "none")}} {
		if _, err := hostKeys(w.plan, files); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chmod(w.launcher.KnownHosts[0], 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := hostKeys(w.plan, w.launcher.KnownHosts); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a file that others write: %v", err)
	}
}

// TestRevokedSSH: a command of git's that is running ends with the grant for its host, on
// both sides.
func TestRevokedSSH(t *testing.T) {
	h := newGitHost(t)
	repository := h.repository(t, "acme.git")
	w := newWorld(t)
	w.reach(h, h.host)
	at := fmt.Sprintf("-p %d %s@git.test", h.port, h.user)
	box, out := w.start("sh", "-c", `mkfifo /tmp/open; sleep 600 > /tmp/open & ssh `+at+` "git-upload-pack '`+repository+`'" < /tmp/open; echo ended with $?; ssh `+at+` "git-upload-pack '`+repository+`'" </dev/null; echo again $?; exit 0`)
	defer func() { _ = box.Stop(0) }()
	for limit := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "refs/heads/main") && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	if err := w.opened.Change(nil, nil); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(30 * time.Second); !strings.Contains(out.String(), "again ") && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	has(t, out.String(), "refs/heads/main", "ended with ", "again ")
	if strings.Contains(out.String(), "ended with 0") || strings.Contains(out.String(), "again 0") {
		t.Errorf("it goes on without its grant:\n%s", out)
	}
	if n := strings.Count(h.log.String(), "Accepted publickey"); n != 1 {
		t.Errorf("the key was used %d times", n)
	}
}

// TestSSHAudit: what cannot be recorded is not done.
func TestSSHAudit(t *testing.T) {
	h := newGitHost(t)
	h.repository(t, "acme.git")
	w := newWorld(t)
	w.reach(h, h.host)
	w.audit.fail = io.ErrShortWrite
	has(t, w.run("sh", "-c", "git ls-remote "+h.url("acme.git")+" || echo not there"), "cannot record", "not there")
	if strings.Contains(h.log.String(), "Accepted") {
		t.Error("the key was used")
	}
}
