package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/grant"
	"nacre/harness/npm"
	"nacre/install"
	"nacre/manifest"
)

// allowScripts refuses a harness of somebody else's whose packages' scripts are to run
// at its installation, unless its owner has allowed that: for a skill by its entry in
// nacre.lock, which says that the finding was accepted, or on the command line.
func (w *with) allowScripts() error {
	all := scriptsOf(w.harness.Skill)
	if len(all) == 0 || w.builtIn || w.allowed {
		return nil
	}
	return fault.New(fault.Denied, "%s: scripts of packages are run as it is installed, which you have not allowed: %s", w.harness.Skill.Name, strings.Join(all, ", ")).
		WithHint("they run in a sandbox without network and can change nothing but their own package; --allow-scripts allows them, or nacre skill add with --accept-findings")
}

// warnScripts says whose scripts are run when it is installed.
func (w *with) warnScripts(app *App) {
	if w.harness == nil {
		return
	}
	if all := scriptsOf(w.harness.Skill); len(all) > 0 {
		app.warn([]nacre.Warning{{Name: "install-scripts", Detail: "when " + w.harness.Skill.Name + " is installed, scripts of packages are run in a sandbox without network: " + strings.Join(all, ", ")}})
	}
}

// scripts has the scripts of a layer's packages run, each package's in a sandbox of its
// own that sees the layer and those before it, read-only, has no network, and hands out
// what was made as an archive.
func (w *with) scripts(ctx context.Context, app *App, who owner, c grant.Input, l installed, folder string) error {
	for _, p := range l.scripted {
		app.note("running the scripts of %s %s, in a sandbox without network", p.Name, p.Version)
		if err := w.script(ctx, app, who, c, l, folder, p); err != nil {
			return err
		}
	}
	return nil
}

func (w *with) script(ctx context.Context, app *App, who owner, c grant.Input, l installed, folder string, p npm.Package) error {
	plan, err := w.scriptPlan(app, c, l, folder, p)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "the new layer cannot be opened")
	}
	defer root.Close()
	from, to := io.Pipe()
	took := make(chan error, 1)
	go func() {
		err := npm.Take(from, root, p, l.packages)
		from.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // it need not go on
		took <- err
	}()
	err = app.alone(ctx, who, plan, c, to)
	to.Close()
	if failed := <-took; failed != nil && (err == nil || !errors.Is(failed, io.ErrUnexpectedEOF)) {
		return failed
	}
	switch {
	case errors.Is(err, errFailed):
		return fault.New(fault.Invalid, "the scripts of %s failed: nothing was installed", p.Name)
	case err != nil:
		return fault.Wrap(fault.KindOf(err), err, "the scripts of %s", p.Name)
	}
	return nil
}

// scriptPlan is what the sandbox of a package's scripts is granted.
func (w *with) scriptPlan(app *App, c grant.Input, l installed, folder string, p npm.Package) (nacre.Plan, error) {
	program, err := install.Beside(app.Program, "nacre-harness")
	if err != nil {
		return nacre.Plan{}, err
	}
	own := nacre.Origin{File: nacre.OriginBuiltIn}
	m := &manifest.Manifest{Version: 1, Name: "installer", Loopback: true, Origin: own, Workdir: compile.Home, Image: c.Manifest.Image,
		Command: []string{agentStarter, "scripts", l.At, p.Place}}
	f := grant.Input{Input: compile.Input{Manifest: m, Policy: c.Policy, Ceiling: c.Ceiling, Owner: c.Owner, Subject: nacre.Subject{Lock: c.Subject.Lock, Digest: c.Subject.Digest}}, Accept: c.Accept}
	f.Owner.PlainFiles = nil
	f.Granted.Images = c.Granted.Images
	f.Files = []manifest.File{{Path: program, At: agentStarter}, {Path: folder, At: l.At}}
	for _, other := range l.before {
		m.Command = append(m.Command, other.At)
		f.Files = append(f.Files, manifest.File{Path: other.path, At: other.At})
	}
	for i := range f.Files {
		f.Files[i].Access, f.Files[i].Origin = nacre.Read, own
	}
	slices.SortFunc(f.Files, func(a, b manifest.File) int { return bytes.Compare([]byte(a.At), []byte(b.At)) })
	return grant.Compile(f)
}
