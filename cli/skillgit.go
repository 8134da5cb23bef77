package cli

import (
	"bytes"
	"context"
	"net/url"
	"strconv"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/grant"
	"nacre/manifest"
	"nacre/pattern"
	"nacre/policy"
	"nacre/room"
	"nacre/skill/store"
	"nacre/terminal"
)

// gitSource is a repository: git+https://HOST[:PORT]/PATH[#BRANCH, tag or commit].
type gitSource struct {
	url       string // without the fragment
	host      string
	port      int
	path, ref string
}

const gitScheme = "git+https:"

var (
	gitRef  = pattern.Of(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	gitPath = pattern.Of(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)
)

// parseGit reads a repository's address; nothing in it is a flag, a login or a
// path that a server could read in two ways.
func parseGit(written string) (g gitSource, err error) {
	u, err := url.Parse(strings.TrimPrefix(written, "git+"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.RawPath != "" || !gitPath().MatchString(u.Path) {
		return g, fault.New(fault.Usage, "SOURCE: expected git+https://HOST/PATH, with #BRANCH, a tag or a commit, found %.200q", written).
			WithHint("such as git+https://github.com/OWNER/REPOSITORY#v1.0; a repository that wants a login can be cloned, and its folder added")
	}
	g = gitSource{host: strings.ToLower(u.Hostname()), port: 443, path: u.Path, ref: "HEAD"}
	if u.Fragment != "" {
		g.ref = u.Fragment
	}
	if u.Port() != "" {
		if g.port, err = strconv.Atoi(u.Port()); err != nil {
			return g, fault.New(fault.Usage, "SOURCE: %q is no port", u.Port())
		}
	}
	if len(g.ref) > 201 || !gitRef().MatchString(g.ref) || strings.Contains(g.ref, "..") {
		return g, fault.New(fault.Usage, "SOURCE: %.80q is no branch, tag or commit", g.ref)
	}
	u.Fragment = ""
	g.url = u.String()
	return g, nil
}

// gitFetch runs inside: it fetches one commit and writes it to its output as a tar.
const gitFetch = `set -e
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1
git init -q "$HOME/r"; cd "$HOME/r"
git fetch -q --depth 1 --no-tags -- "$1" "$2"
git archive --format=tar FETCH_HEAD`

// maxGitWords bounds what is told of git's own words.
const maxGitWords = 4 << 10

// fetch has git run in a sandbox that reaches this one repository and nothing
// else of the owner's or of the network, and unpacks what it prints.
func (g gitSource) fetch(ctx context.Context, app *App, accept []string, st *store.Staged, sub string) error {
	who, err := app.owner()
	if err != nil {
		return err
	}
	c, err := g.input(app, who, accept)
	if err = app.refused(who, c, err); err != nil {
		return err
	}
	p, err := grant.Compile(c)
	if err = app.refused(who, c, err); err != nil {
		return err
	}
	out, err := st.Spool()
	if err != nil {
		return err
	}
	defer out.Close()
	words := &firstWords{}
	exit, err := app.runQuietly(ctx, who, p, nacre.Streams{In: bytes.NewReader(nil), Out: out, Err: words}, c.Ceiling, c.Policy)
	switch {
	case err != nil:
		return err
	case exit.Code != 0:
		return fault.New(fault.NotFound, "git could not fetch %s: %s", g.ref, terminal.Clean(strings.TrimSpace(words.String()))).
			WithHint("it reaches %s and nothing else; nacre audit show says what was refused", g.host)
	}
	if _, err := out.Seek(0, 0); err != nil {
		return err
	}
	return st.UnpackTar(out, sub)
}

// input is the plan's: one host, of which one repository may be fetched.
func (g gitSource) input(app *App, who owner, accept []string) (grant.Input, error) {
	in := &input{accept: accept}
	c, err := in.gather(app, who, []string{"sh", "-c", gitFetch, "sh", g.url, g.ref})
	if err != nil {
		return c, err
	}
	n := manifest.Network{Origin: commandLine, NetworkGrant: nacre.NetworkGrant{
		Host: g.host, Ports: []int{g.port}, Methods: []string{"FETCH"}, Paths: []string{g.path + "/**"}}}
	if c.Policy != nil { // a name of the owner's own for an address
		for _, rule := range c.Policy.Network {
			if rule.As == g.host {
				n.Host, n.As = rule.Host, rule.As
			}
		}
	}
	if err := n.Check(); err != nil {
		return c, flagFault("SOURCE", err)
	}
	c.Manifest = &manifest.Manifest{Loopback: true, Name: "skill-git", Origin: commandLine}
	c.Manifest.Network = []manifest.Network{n}
	c.Granted = policy.Rules{}
	c.Granted.Network = c.Manifest.Network
	for _, limit := range []string{"output=256MiB", "time=10m"} {
		if err := grant.ParseLimit(&c.Limits, limit); err != nil {
			return c, err
		}
	}
	return c, nil
}

// runQuietly runs a plan of Nacre's own to its end.
func (app *App) runQuietly(ctx context.Context, who owner, p nacre.Plan, s nacre.Streams, policies ...*policy.Policy) (nacre.Exit, error) {
	if err := room.Check(); err != nil {
		return nacre.Exit{}, err
	}
	engine, audit, err := app.engine(who)
	if err != nil {
		return nacre.Exit{}, err
	}
	defer audit.Close()
	if err := app.upstream(who, engine, policies...); err != nil {
		return nacre.Exit{}, err
	}
	box, err := engine.Start(ctx, p, s)
	if err != nil {
		return nacre.Exit{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = box.Stop(0) })
	defer stop()
	return box.Wait()
}

// firstWords keeps the beginning of what a program says.
type firstWords struct{ bytes.Buffer }

// Write implements io.Writer.
func (w *firstWords) Write(p []byte) (int, error) {
	if left := maxGitWords - w.Len(); left > 0 {
		w.Buffer.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}
