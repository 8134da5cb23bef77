package cli

import (
	"cmp"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/grant"
	"nacre/harness/layer"
	"nacre/harness/npm"
	"nacre/install"
	"nacre/manifest"
	"nacre/policy"
	"nacre/skill"
	"nacre/strict"
)

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
		scripted, err := npm.Scripted(packages, l.Scripts)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "%s: layers", l.Origin)
		}
		var beside []string
		for _, other := range w.layers {
			beside = append(beside, other.address)
		}
		address := npm.Address(packages, scripted, beside)
		path := layer.Path(o.layerDir(), address)
		w.layers = append(w.layers, installed{l, address, path, packages, scripted, slices.Clone(w.layers)})
		own(path, l.At, nacre.Read, "packages of "+w.harness.Skill.Name)
	}
	if w.home != "" {
		if err := skill.CheckName(w.home); err != nil {
			return flagFault("--home", err)
		}
		w.kept = filepath.Join(o.homes, w.home)
		own(w.kept, keptHome, nacre.Write, "the home that is kept")
	}
	w.hide(o, c)
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

// apart are the places of what is kept for agents, of which no folder that is granted
// gives one agent another's: layers, and homes. An agent that has some of them itself
// is kept from the rest by patterns; but what holds them is granted to write to nobody.
func (w *with) apart(o owner) []string {
	if w.skill == "" {
		return []string{o.homes, o.layerDir()}
	}
	return []string{filepath.Join(o.layerDir(), "lock"), filepath.Join(o.homes, "-")} // which no home is called
}

// shown is how much of a layer's digest is compared: it is no secret.
const shown = 8

// hide has all homes and layers masked but the run's own, also those that are yet to
// be made.
func (w *with) hide(o owner, c *grant.Input) {
	var layers []string
	for _, l := range w.layers {
		layers = append(layers, l.address[:shown]+"*")
	}
	homes := []string{}
	if w.home != "" {
		homes = append(homes, w.home)
	}
	for dir, own := range map[string][]string{o.layerDir(): layers, o.homes: homes} {
		for _, spelling := range spellings(dir) {
			for _, pattern := range others(spelling, own) {
				c.Granted.Files.Blocked = append(c.Granted.Files.Blocked, strict.Text{Value: pattern, Origin: nacre.Origin{File: nacre.OriginBuiltIn}})
			}
		}
	}
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
