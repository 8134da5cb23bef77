package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/learn"
	"nacre/manifest"
	"nacre/pattern"
	"nacre/remedy"
)

// learnOptions are the flags of nacre learn.
type learnOptions struct {
	input
	app    *App
	output string
	tty    string
	asJSON bool
	ask    bool
}

func newLearn(app *App) *cobra.Command {
	o := &learnOptions{app: app}
	cmd := &cobra.Command{
		Use:   "learn [flags] [--] COMMAND [ARG]...",
		Short: "Run a program with nothing granted, and propose a manifest from what it tries",
		Long: `Run a program in a sandbox with nothing granted but a copy of the current
folder, which is thrown away; record what it reads and writes there, where it
tries to go, and which system calls it lacks; and propose the smallest manifest
that covers it, each line with what it comes from.

Nothing it sends leaves the machine, unless with --ask you let it out for this
run: in another terminal, by nacre learn answer. What is proposed grants nothing:
read it, then let your policy allow it.`,
		Example: `  nacre learn -o agent.yaml -- npm test
  nacre learn --files preset:node -- node script.js
  nacre learn --ask -o agent.yaml -- ./script
  nacre learn --json -- ./script`,
		Args: bareTTY,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.output, "output", "o", "", "write the manifest to a new `FILE`; default: print it, and the program's output as errors")
	f.StringVarP(&o.tty, "tty", "t", "auto", "give it a terminal, with --output: auto, always or never")
	f.Lookup("tty").NoOptDefVal = "always"
	f.BoolVar(&o.asJSON, "json", false, "print JSON in place of a manifest")
	f.StringVar(&o.policy, "policy", "", "the owner's policy, in place of ~/.config/nacre/policy.yaml")
	f.StringArrayVar(&o.files, "files", nil, "grant a folder or file besides: `PATH[:read|write][@/INSIDE]`, or preset:NAME; may be repeated")
	f.StringArrayVar(&o.limits, "limit", nil, "set a limit, such as `memory=1GiB`; may be repeated")
	f.StringArrayVar(&o.accept, "accept", nil, "go on at a lower `TIER` where this machine lacks a layer; may be repeated")
	f.BoolVar(&o.ask, "ask", false, "ask in another terminal before something is let out")
	o.completions(cmd, "limit", "accept")
	cmd.AddCommand(newLearnAnswer(app))
	return roomy(cmd)
}

func (o *learnOptions) run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return fault.New(fault.Usage, "there is no command to run").WithHint("nacre learn [flags] -- COMMAND")
	}
	if _, err := os.Lstat(o.output); o.output != "" && err == nil {
		return fault.New(fault.Conflict, "%s exists already", o.output).WithHint("name another file: what you have is not overwritten")
	}
	tty := false
	var err error
	if o.output != "" {
		if tty, err = o.app.useTTY(o.tty); err != nil {
			return err
		}
	}
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	p := &learn.Proposal{Name: nameOf(command[0]), Command: command}
	now := o.begin(o.app, who)
	c, err := o.gather(o.app, who, command)
	if err = o.app.refused(who, c, err); err != nil {
		return err
	}
	for _, f := range c.Files {
		p.Granted = append(p.Granted, remedy.Flow(f))
	}
	scratch, remove, err := o.scratch(who, &c)
	if err = o.app.refused(who, c, err); err != nil {
		return err
	}
	defer remove()
	s := &session{app: o.app, owner: who, tty: tty, quiet: true, live: now, apart: o.output == ""}
	s.plan, err = alone(c)
	if err = o.app.refused(who, c, err); err != nil {
		return err
	}
	now.asked, now.plan = c, s.plan
	log := &learn.Log{}
	s.learn = log
	if o.ask {
		s.asking = &asking{live: now}
	}
	if p.Ended, err = s.run(ctx); err != nil {
		return err
	}
	if scratch != nil {
		p.Folder = o.folder(who)
		if p.Written, p.Read, err = scratch.Changes(); err != nil {
			return err
		}
	}
	denied, silent := deniedIn(s.box)
	if silent != "" {
		o.app.note("which system calls were denied cannot be told: %s", silent)
	}
	log.Into(p, denied)
	return o.write(p)
}

// alone compiles a plan with a gateway that grants nothing: the one grant is to
// a name that there never is (RFC 6761), and the gateway is not told of it.
func alone(c grant.Input) (nacre.Plan, error) {
	p, err := grant.Compile(c)
	if err != nil {
		return p, err
	}
	p.Network = []nacre.NetworkGrant{{Grant: nacre.Grant{ID: "learn", Reason: "what the program would reach is heard, recorded and refused"},
		Host: "learn.invalid", Scheme: "https", Ports: []int{443}}}
	p.Digest = compile.Digest(p)
	return p, nil
}

// learning has an engine remember what it records, and its gateways grant nothing.
func learning(e *native.Engine, log *learn.Log, asking *asking) error {
	l, ok := e.Gateways.(*launch.Launcher)
	if !ok {
		return fault.New(fault.NotFound, "nacre-gateway is missing beside nacre").WithHint("reinstall Nacre: make install puts its programs in place")
	}
	l.Learn = true
	if asking != nil {
		l.Ask, l.Patience = asking.ask, patience
	}
	log.Audit, e.Audit = e.Audit, log
	return nil
}

// scratch copies the current folder, where it may be granted at all, and grants
// the copy.
func (o *learnOptions) scratch(who owner, c *grant.Input) (*learn.Scratch, func(), error) {
	nothing := func() {}
	whole, err := c.Whole()
	if err != nil {
		return nil, nothing, err
	}
	auth, err := compile.Authority(whole)
	if err != nil {
		return nil, nothing, err
	}
	refused := func(path string) bool {
		_, refused := auth.Refused(nacre.Decision{}, path, nacre.Read)
		return refused
	}
	if d, no := auth.Refused(nacre.Decision{}, who.cwd, nacre.Read); no {
		o.app.note("the current folder is not given to it: %s", d.Reason)
		return nil, nothing, nil
	}
	cache := filepath.Dir(xdg(o.app.getenv("XDG_CACHE_HOME"), who.home, ".cache"))
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, nothing, err
	}
	above, err := os.MkdirTemp(cache, "nacre-learn-")
	if err != nil {
		return nil, nothing, err
	}
	remove := func() {
		if err := os.RemoveAll(above); err != nil {
			o.app.note("the copy cannot be removed: %v", err)
		}
	}
	copied := filepath.Join(above, filepath.Base(who.cwd))
	if err := os.Mkdir(copied, 0o755); err != nil {
		return nil, remove, err
	}
	s, err := learn.Copy(who.cwd, copied, func(name string) bool { return refused(filepath.Join(who.cwd, name)) })
	if err != nil {
		remove()
		return nil, nothing, err
	}
	c.Files = append([]manifest.File{{Path: copied, Access: nacre.Write, Origin: nacre.Origin{File: nacre.OriginCommandLine}}}, c.Files...)
	return s, func() { s.Close(); remove() }, nil
}

// folder is the current folder, as the manifest says it.
func (o *learnOptions) folder(who owner) string {
	if o.output == "" || filepath.Dir(o.output) == "." {
		return "."
	}
	return who.cwd
}

var unfit = pattern.Of(`[^a-z0-9]+`)

// nameOf is a name for an agent, after its program.
func nameOf(program string) string {
	name := strings.Trim(unfit().ReplaceAllString(strings.ToLower(filepath.Base(program)), "-"), "-")
	if name == "" {
		return "agent"
	}
	return name[:min(len(name), 40)]
}

// write gives the proposal to the owner, if it is one.
func (o *learnOptions) write(p *learn.Proposal) error {
	if o.asJSON {
		return o.app.printJSON(p)
	}
	text := p.Manifest()
	if _, err := manifest.Parse("the proposal", text); err != nil {
		return fault.Wrap(fault.Internal, err, "what was learned cannot be written as a manifest")
	}
	if o.output == "" {
		_, err := o.app.Out.Write(text)
		return err
	}
	f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	o.app.note("read %s: it is a proposal, and grants nothing", o.output)
	return f.Close()
}
