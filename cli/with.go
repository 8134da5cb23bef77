package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
	"nacre/harness"
	"nacre/harness/layer"
	"nacre/harness/npm"
	"nacre/install"
	"nacre/manifest"
	"nacre/policy"
	"nacre/remedy"
	"nacre/skill"
	"nacre/skills"
)

// with is the flags of a run by a harness, and what came of them.
type with struct {
	skill, model, home string

	mode    harness.Mode
	harness *harness.Harness
	builtIn bool
	layers  []installed
	kept    string // the owner's folder with the home that is kept
}

// installed is a layer of a harness, and where it lies, or will.
type installed struct {
	harness.Layer
	address, path string
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
	// It fails only for a flag that there is not.
	_ = cmd.RegisterFlagCompletionFunc("with", cobra.FixedCompletions(harness.BuiltIn(skills.Files), cobra.ShellCompDirectiveDefault))
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
			c.Lock = e.Name
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
		if w.model+w.home != "" {
			return fault.New(fault.Usage, "--model and --home go with --with")
		}
		return nil
	}
	if in.agent != "" {
		return fault.New(fault.Usage, "expected either --agent or --with")
	}
	if err := w.find(app, o, c); err != nil {
		return err
	}
	folder := workFolder(c.Files, o)
	if in.workdir != "" {
		folder = in.workdir
	}
	task := harness.Task{Mode: w.mode, Words: c.Command, Model: w.model, Machine: npm.For(runtime.GOARCH), Folder: folder, Starter: agentStarter, Bundle: launch.Bundle}
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
	c.Manifest, c.Command, c.Digest = m, nil, w.harness.Skill.Digest
	if w.builtIn {
		c.Lock = "built-in/" + m.Name
		w.harness.Grant(&c.Granted)
		m.Limits = manifest.Limits{}
		c.Limits = limitsOr(c.Limits, w.harness.Limits())
	}
	c.Granted.Deny = w.harness.Deny()
	return w.place(app, o, c)
}

// workFolder is where the first granted folder is inside; the home where there is
// none.
func workFolder(files []manifest.File, o owner) string {
	for _, f := range files {
		host, err := policy.Resolve(f.Path, o.cwd, o.home, f.Origin)
		if err != nil || f.Preset != "" {
			continue
		}
		if st, err := os.Stat(host); err == nil && st.IsDir() {
			return cmp.Or(f.At, path.Join(compile.Work, path.Base(host)))
		}
	}
	return compile.Home
}

// limitsOr are limits, and where they say nothing, others.
func limitsOr(l, others manifest.Limits) manifest.Limits {
	mine := l.Each()
	for i, other := range others.Each() {
		if mine[i].N == 0 {
			*mine[i].Amount = *other.Amount
		}
	}
	return l
}

// place grants the harness what is Nacre's own: its layers, what starts it, and the
// folder of a home that is kept.
func (w *with) place(app *App, o owner, c *grant.Input) error {
	own := func(path, at string, access nacre.Access, why string) {
		c.Files = append(c.Files, manifest.File{Path: path, At: at, Access: access, Reason: why, Origin: nacre.Origin{File: nacre.OriginBuiltIn}})
	}
	for _, l := range w.harness.Layers {
		packages, err := w.harness.Packages(l, npm.For(runtime.GOARCH))
		if err != nil {
			return err
		}
		address := npm.Address(packages)
		path := layer.Path(o.layerDir(), address)
		w.layers = append(w.layers, installed{l, address, path})
		own(path, l.At, nacre.Read, "packages of "+w.harness.Skill.Name)
	}
	if w.home != "" {
		if err := skill.CheckName(w.home); err != nil {
			return flagFault("--home", err)
		}
		w.kept = filepath.Join(o.homes, w.home)
		own(w.kept, keptHome, nacre.Write, "the home that is kept")
	}
	programs := map[string]string{w.harness.Program: "the agent"}
	if c.Manifest.Command[0] == agentStarter {
		programs[path.Base(agentStarter)] = "starts the agent"
	}
	delete(programs, "")
	for name, why := range programs {
		program, err := install.Beside(app.Program, name)
		if err != nil {
			return err
		}
		own(program, path.Join(ownPrograms, name), nacre.Read, why)
	}
	return nil
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

// hold makes the folder of a home that is kept, and sees to it that no other run
// keeps it too.
func (w *with) hold() (io.Closer, error) {
	if w.kept == "" {
		return io.NopCloser(nil), nil
	}
	if err := os.MkdirAll(w.kept, 0o700); err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "the home %s cannot be kept", w.home)
	}
	f, err := os.Open(w.kept)
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "the home %s cannot be kept", w.home)
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		f.Close()
		return nil, fault.New(fault.Conflict, "another run has the home %s", w.home).WithHint("wait for it, or give --home another name")
	}
	return f, nil
}
