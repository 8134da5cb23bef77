package cli

import (
	"cmp"
	"errors"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/fault"
	"nacre/grant"
	"nacre/load"
	"nacre/manifest"
	"nacre/policy"
	"nacre/strict"
)

// input is the flags of everything that makes a plan.
type input struct {
	agent, tool, policy, name, workdir, image string

	files, env, limits, accept, skills []string

	with with
}

func (in *input) flags(app *App, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&in.agent, "agent", "", "the agent's manifest, such as agent.yaml")
	f.StringVar(&in.tool, "tool", "", "the tool server that a `SKILL` is, by its name or its folder, in place of a manifest")
	f.StringVar(&in.policy, "policy", "", "the owner's policy, in place of ~/.config/nacre/policy.yaml")
	f.StringArrayVar(&in.files, "files", nil, "grant a folder or file: `PATH[:read|write][@/INSIDE]`, or preset:NAME; may be repeated")
	f.StringArrayVar(&in.env, "env", nil, "give a variable: `NAME=VALUE`, or NAME for your own value; may be repeated")
	f.StringArrayVar(&in.limits, "limit", nil, "set a limit, such as `memory=1GiB`; may be repeated")
	f.StringArrayVar(&in.accept, "accept", nil, "go on at a lower `TIER` where this machine lacks a layer; may be repeated")
	f.StringArrayVar(&in.skills, "skill", nil, "let it read this skill of yours, by its `NAME` in nacre.lock; may be repeated")
	f.Var((*filled)(&in.image), "image", "the root file system: host, `NAME@sha256:DIGEST`, directory:PATH, layout:PATH or archive:PATH")
	f.Var((*filled)(&in.workdir), "workdir", "the `FOLDER` inside in which the command starts")
	f.Var((*filled)(&in.name), "name", "the sandbox's name")
	in.completions(cmd, "accept", "limit", "image")
	for _, flag := range []string{"skill", "tool"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, app.skillNames) // it fails only for a flag that there is not
	}
}

// filled is a flag's text that may not be empty: that is more often a variable that is
// not set than what is meant.
type filled string

func (f *filled) String() string { return string(*f) }

// Type is what the flag takes.
func (f *filled) Type() string { return "string" }

// Set takes any text but none.
func (f *filled) Set(s string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	*f = filled(s)
	return nil
}

// completions are what the shell offers for the flags; files otherwise.
func (in *input) completions(cmd *cobra.Command, flags ...string) {
	words := map[string][]string{
		"accept": {string(nacre.TierWatchdog), string(nacre.TierOwnerUID), string(nacre.TierNoLandlock), string(nacre.TierOldLandlock), string(nacre.TierMasksAtStart), string(nacre.TierCoreSocket)},
		"limit":  {"memory=", "cpus=", "processes=", "open-files=", "disk=", "output=", "time="},
		"image":  {"host", "directory:", "layout:", "archive:"},
	}
	for _, flag := range flags {
		// It fails only for a flag that there is not.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words[flag], cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
	}
}

// gather reads the files and flags that a plan is compiled from.
func (in *input) gather(app *App, o owner, command []string) (grant.Input, error) {
	c := grant.Input{Name: in.name, Command: command, Environment: map[string]manifest.Variable{}}
	steps := []func(*App, owner, *grant.Input) error{in.grants, in.manifest, in.policies, in.facts, in.ownSkills}
	for _, step := range steps {
		if err := step(app, o, &c); err != nil {
			return c, err
		}
	}
	return c, nil
}

var accessWord = regexp.MustCompile(`^[A-Za-z]{1,16}$`)

// misnamed tells a path that ends in :WORD, is not there, and would be without that: the
// word was to be an access.
func misnamed(f manifest.File) error {
	i := strings.LastIndexByte(f.Path, ':')
	if i <= 0 || !accessWord.MatchString(f.Path[i+1:]) {
		return nil
	}
	_, whole := os.Lstat(f.Path)
	_, before := os.Lstat(f.Path[:i])
	if whole == nil || before != nil {
		return nil
	}
	return fault.New(fault.Usage, "%s does not exist, and there is no access %q", f.Path, f.Path[i+1:]).
		WithHint("access is read or write: %s:read", f.Path[:i])
}

// grants are what the command line says.
func (in *input) grants(_ *App, _ owner, c *grant.Input) error {
	for _, s := range in.files {
		f, err := grant.ParseFiles(s)
		if err == nil {
			err = misnamed(f)
		}
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
	what := strings.TrimPrefix(strings.TrimPrefix(err.Error(), nacre.OriginCommandLine+": "), "limits: ")
	if !strings.HasPrefix(what, flag) {
		what = flag + ": " + what
	}
	return fault.New(fault.Usage, "%s", what).WithHint("%s", fault.HintOf(err))
}

func (in *input) manifest(app *App, o owner, c *grant.Input) error {
	if in.tool != "" {
		if err := in.server(app, o, c); err != nil {
			return err
		}
	}
	if in.agent != "" {
		source, err := load.Manifest(in.agent)
		c.Manifest, c.Subject.Path, c.Subject.Digest = source.Manifest, cmp.Or(source.Path, in.agent), source.Digest
		if err != nil {
			return err
		}
	}
	if in.image == "" && in.workdir == "" {
		return nil
	}
	if c.Manifest == nil {
		c.Manifest = &manifest.Manifest{Loopback: true, Name: grant.Unnamed}
		c.Manifest.Origin.File = nacre.OriginCommandLine
	}
	if in.workdir != "" {
		c.Manifest.Workdir = in.workdir
	}
	if in.image == "" {
		return nil
	}
	i, err := imageOf(in.image, o)
	c.Manifest.Image = i
	c.Granted.Images = []strict.Text{i} // the owner's own command line is a grant
	return err
}

// imageOf reads the value of --image: oci: may be left out.
func imageOf(written string, o owner) (i strict.Text, err error) {
	i.Origin.File = nacre.OriginCommandLine
	i.Value = written
	kind, place, _ := strings.Cut(written, ":")
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
		i.Value = "oci:" + written
	}
	return i, nil
}
