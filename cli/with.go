package cli

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre/compile"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/harness"
	"nacre/harness/npm"
	"nacre/manifest"
	"nacre/remedy"
	"nacre/skill"
	"nacre/skill/check"
	"nacre/skills"
)

// with is the flags of a run by a harness, and what came of them.
type with struct {
	skill, model, home string
	resume, allowed    bool // allowed: its packages' scripts
	output             bool // what it prints is read

	mode    harness.Mode
	harness *harness.Harness
	builtIn bool
	layers  []installed
	kept    string // the owner's folder with the home that is kept
}

// installed is a layer of a harness, and where it lies, or will.
type installed struct {
	harness.Layer
	address, path      string
	packages, scripted []npm.Package // those whose scripts are run are of them
	before             []installed
}

// Where a harness's things are inside.
const (
	agentStarter = ownPrograms + "/nacre-harness"
	ownPrograms  = "/opt/nacre"
	keptHome     = "/opt/nacre-home"
)

func (w *with) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&w.skill, "with", "", "run this agent, by the `HARNESS` that knows how: a name, or a skill's folder (./NAME); without one they are listed")
	f.StringVar(&w.model, "model", "", "with --with: the model, in place of the harness's own")
	f.StringVar(&w.home, "home", "", "with --with: keep the agent's home under this `NAME`; else it vanishes")
	f.BoolVar(&w.resume, "resume", false, "with --home: go on with the last session in that home")
	w.scriptsFlag(cmd)
	// It fails only for a flag that there is not.
	_ = cmd.RegisterFlagCompletionFunc("with", cobra.FixedCompletions(harness.BuiltIn(skills.Files), cobra.ShellCompDirectiveDefault))
}

func (w *with) scriptsFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.allowed, "allow-scripts", false, "with --with: let packages' scripts run as somebody else's harness is installed, if it declares them")
}

// find reads the harness that --with names: one of Nacre's own, one that is locked in
// nacre.lock, or a folder.
func (w *with) find(app *App, o owner, c *grant.Input) (err error) {
	if strings.Contains(w.skill, "/") {
		if err := w.read(w.skill); err != nil {
			return err
		}
		return signers(w.harness.Skill, w.harness.Skill.Signature, c.Policy, c.Ceiling)
	}
	w.builtIn = slices.Contains(harness.BuiltIn(skills.Files), w.skill)
	if !w.builtIn {
		owned, err := app.shelf(o)
		if err != nil {
			return err
		}
		list, err := owned.Lock()
		if err != nil {
			return err
		}
		if list.Find(w.skill) != nil {
			_, e, err := usable(owned, w.skill, c.Policy, c.Ceiling)
			if err != nil {
				return err
			}
			c.Subject.Lock = e.Name
			w.allowed = w.allowed || slices.Contains(e.Accepted, check.Scripts)
			return w.read(owned.Folder(e))
		}
	}
	w.harness, err = harness.Find(skills.Files, w.skill)
	return remedy.Hint(err)
}

// read reads a harness from a folder.
func (w *with) read(folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "%s", w.skill)
	}
	root, err := skill.Beneath(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if w.harness, err = harness.Read(root); err != nil {
		return err
	}
	return w.harness.Skill.Called(filepath.Base(folder))
}

// declare makes what a harness declares the manifest, and its task the command. What
// Nacre's own harnesses declare is granted by the owner's word, --with, below the
// denials and the ceiling; of anybody else's skill, what the policy allows.
func (in *input) declare(app *App, o owner, c *grant.Input) error {
	w := &in.with
	if w.skill == "" {
		if w.model+w.home != "" || w.resume {
			return fault.New(fault.Usage, "--model, --home and --resume go with --with").WithHint("nacre run --with, without a name, lists the agents that they are for")
		}
		return nil
	}
	if w.resume && w.home == "" {
		return fault.New(fault.Usage, "--resume: expected --home too: a session is kept in a home").WithHint("give --home the name that it had")
	}
	if in.agent != "" {
		return fault.New(fault.Usage, "expected either --agent or --with").
			WithHint("leave one out: --agent runs what a manifest declares, --with an agent that Nacre knows how to run; both are a manifest")
	}
	if err := w.find(app, o, c); err != nil {
		return err
	}
	if err := w.allowScripts(); err != nil {
		return err
	}
	folder := workFolder(c.Files, o)
	if in.workdir != "" {
		folder = in.workdir
	}
	task := harness.Task{Mode: w.mode, Words: c.Command, Model: w.model, Resume: w.resume, Output: w.output, Machine: npm.For(runtime.GOARCH), Folder: folder, Starter: agentStarter, Bundle: launch.Bundle}
	if w.home != "" {
		task.Kept = keptHome
	}
	m, err := w.harness.Manifest(task)
	if err != nil {
		return err
	}
	m.Workdir = folder
	if in.image != "" {
		m.Image = c.Manifest.Image
	}
	c.Manifest, c.Command, c.Subject.Digest = m, nil, w.harness.Skill.Digest
	if w.builtIn {
		c.Subject.Lock = "built-in/" + m.Name
		w.harness.Grant(&c.Granted)
		m.Limits = manifest.Limits{}
		c.Limits = limitsOr(c.Limits, w.harness.Limits())
	}
	c.Granted.Deny = w.harness.Deny()
	return w.place(app, o, c)
}

// decide tells how the agent is run: a task is done without anybody there.
func (w *with) decide(tty bool, words []string) {
	if w.mode = harness.Headless; tty && len(words) == 0 {
		w.mode = harness.Interactive
	}
}

// alone tells whether nobody is to type anything to it.
func (w *with) alone() bool {
	return w.harness != nil && w.mode == harness.Headless && !w.harness.Stdin
}

// ready installs what is not there yet, says what there is to know, and holds the
// home until what it returns is closed.
func (w *with) ready(ctx context.Context, app *App, who owner, c grant.Input, quiet bool) (io.Closer, error) {
	if w.harness == nil {
		return io.NopCloser(nil), nil
	}
	if err := w.install(ctx, app, who, c); err != nil {
		return nil, err
	}
	if !quiet {
		for _, s := range w.harness.Says() {
			app.note("%s: %s", w.harness.Skill.Name, s)
		}
		if c.Manifest.Workdir == compile.Home {
			app.note("%s has no folder of yours to work in: --files .:write grants this one", w.harness.Skill.Name)
		}
	}
	return w.hold()
}
