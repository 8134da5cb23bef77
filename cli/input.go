package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/grant"
	"nacre/load"
	"nacre/manifest"
	"nacre/policy"
	"nacre/remedy"
	"nacre/seccomp"
	"nacre/strict"
)

// input is the flags of everything that makes a plan.
type input struct {
	agent, policy, name, workdir, image string

	files, env, limits, accept []string

	imageName string // as the policy names it
}

func (in *input) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&in.agent, "agent", "", "the agent's manifest, such as agent.yaml")
	f.StringVar(&in.policy, "policy", "", "the owner's policy, in place of ~/.config/nacre/policy.yaml")
	f.StringArrayVar(&in.files, "files", nil, "grant a folder or file: `PATH[:read|write][@/INSIDE]`, or preset:NAME; may be repeated")
	f.StringArrayVar(&in.env, "env", nil, "give a variable: `NAME=VALUE`, or NAME for your own value; may be repeated")
	f.StringArrayVar(&in.limits, "limit", nil, "set a limit, such as `memory=1GiB`; may be repeated")
	f.StringArrayVar(&in.accept, "accept", nil, "go on at a lower `TIER` where this machine lacks a layer; may be repeated")
	f.StringVar(&in.image, "image", "", "the root file system: host, `NAME@sha256:…`, directory:PATH, layout:PATH or archive:PATH")
	f.StringVar(&in.workdir, "workdir", "", "the `FOLDER` inside in which the command starts")
	f.StringVar(&in.name, "name", "", "the sandbox's name")
}

// gather reads the files and flags that a plan is compiled from.
func (in *input) gather(app *App, o owner, command []string) (compile.Input, error) {
	c := compile.Input{Name: in.name, Command: command, Environment: map[string]manifest.Variable{}}
	steps := []func(*App, owner, *compile.Input) error{in.grants, in.manifest, in.policies, in.facts}
	for _, step := range steps {
		if err := step(app, o, &c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// grants are what the command line says.
func (in *input) grants(_ *App, _ owner, c *compile.Input) error {
	for _, s := range in.files {
		f, err := grant.ParseFiles(s)
		if err != nil {
			return flagFault("--files", err)
		}
		c.Files = append(c.Files, f)
	}
	for _, s := range in.env {
		name, v, err := grant.ParseVariable(s)
		if err != nil {
			return flagFault("--env", err)
		}
		c.Environment[name] = v
	}
	for _, s := range in.limits {
		if err := grant.ParseLimit(&c.Limits, s); err != nil {
			return flagFault("--limit", err)
		}
	}
	for _, s := range in.accept {
		t, err := grant.ParseTier(s)
		if err != nil {
			return flagFault("--accept", err)
		}
		c.Accept = append(c.Accept, t)
	}
	return nil
}

// flagFault names the flag that is wrong.
func flagFault(flag string, err error) error {
	what := strings.TrimPrefix(err.Error(), nacre.OriginCommandLine+": ")
	if !strings.HasPrefix(what, flag) {
		what = flag + ": " + what
	}
	return fault.New(fault.Usage, "%s", what).WithHint("%s", fault.HintOf(err))
}

func (in *input) manifest(_ *App, o owner, c *compile.Input) error {
	if in.agent != "" {
		source, err := load.Manifest(in.agent)
		if err != nil {
			return err
		}
		c.Manifest, c.ManifestPath, c.Digest = source.Manifest, source.Path, source.Digest
	}
	if in.image == "" && in.workdir == "" {
		return nil
	}
	if c.Manifest == nil {
		c.Manifest = &manifest.Manifest{Loopback: true, Name: nacre.Unnamed}
		c.Manifest.Origin.File = nacre.OriginCommandLine
	}
	if in.workdir != "" {
		c.Manifest.Workdir = in.workdir
	}
	if in.image == "" {
		return nil
	}
	i, err := in.imageOf(o)
	c.Manifest.Image = i
	return err
}

// imageOf reads the value of --image: oci: may be left out.
func (in *input) imageOf(o owner) (i strict.Text, err error) {
	i.Origin.File = nacre.OriginCommandLine
	i.Value = in.image
	kind, place, _ := strings.Cut(in.image, ":")
	switch kind {
	case "host":
		return i, nil
	case "oci":
	case "directory", "layout", "archive":
		if place, err = policy.Resolve(place, o.cwd, o.home, i.Origin); err != nil {
			return i, flagFault("--image", err)
		}
		i.Value = kind + ":" + place
	default:
		i.Value = "oci:" + in.image
	}
	in.imageName = i.Value
	return i, nil
}

func (in *input) policies(_ *App, o owner, c *compile.Input) (err error) {
	path := o.policyPath()
	if in.policy != "" {
		path = in.policy
		if _, err := os.Lstat(path); err != nil {
			return fault.New(fault.NotFound, "%s: there is no such policy", path).
				WithHint("nacre policy init writes one to begin with; without --policy a missing one allows nothing")
		}
	}
	if path, err = filepath.Abs(path); err != nil {
		return fault.Wrap(fault.NotFound, err, "%s", path)
	}
	if c.Policy, err = load.Policy(path, o.uid, nil); err != nil {
		return err
	}
	if c.Ceiling, err = load.Policy(o.ceilingPath(), 0, nil); err != nil {
		return err
	}
	c.Owner.Policies = spellings(path, o.ceilingPath())
	if in.imageName != "" { // the owner's own command line is a grant
		granted := policy.Policy{Version: 1}
		if c.Policy != nil {
			granted = *c.Policy
		}
		from := nacre.Origin{File: nacre.OriginCommandLine}
		granted.Images = append(slices.Clone(granted.Images), strict.Text{Value: in.imageName, Origin: from})
		c.Policy = &granted
	}
	return nil
}

// spellings are the paths as written and as they really are: a policy reached
// through a link must not lie in a granted folder either.
func spellings(paths ...string) (all []string) {
	for _, p := range paths {
		all = append(all, filepath.Clean(p))
		if real, err := filepath.EvalSymlinks(p); err == nil && real != filepath.Clean(p) {
			all = append(all, real)
		}
	}
	return all
}

// facts are what the compiler must know of the owner and the machine.
func (in *input) facts(app *App, o owner, c *compile.Input) error {
	c.Owner.Home, c.Owner.Cwd = o.home, o.cwd
	c.Owner.Own = spellings(o.own(app.Program)...)
	c.Owner.Environment = map[string]string{}
	for _, pair := range app.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		c.Owner.Environment[name] = value
	}
	c.Owner.Groups = map[string]string{}
	for _, g := range seccomp.Groups() {
		c.Owner.Groups[g.Name] = g.Warning.Detail
	}
	files := c.Files
	base := o.cwd
	if c.Manifest != nil {
		files = slices.Concat(c.Manifest.Files, c.Files)
		base = filepath.Dir(c.ManifestPath)
	}
	for i, f := range files {
		if c.Manifest == nil || i >= len(c.Manifest.Files) {
			base = o.cwd
		}
		host, err := policy.Resolve(f.Path, base, o.home, f.Origin)
		if st, e := os.Lstat(host); err == nil && e == nil && !st.IsDir() {
			c.Owner.PlainFiles = append(c.Owner.PlainFiles, host)
		}
	}
	return nil
}

// plan compiles the command line.
func (in *input) plan(app *App, o owner, command []string) (nacre.Plan, error) {
	c, err := in.gather(app, o, command)
	if err != nil {
		return nacre.Plan{}, err
	}
	return remedy.Compile(c)
}
