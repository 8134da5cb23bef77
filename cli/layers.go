package cli

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/grant"
	"nacre/harness/layer"
	"nacre/harness/npm"
	"nacre/install"
	"nacre/manifest"
	"nacre/preset"
)

// install sees to it that a harness's layers are there and are what they were.
func (w *with) install(ctx context.Context, app *App, who owner, c grant.Input) error {
	if len(w.layers) == 0 {
		return nil
	}
	store, err := layer.Open(who.layerDir(), filepath.Join(who.state, "layers"))
	if err != nil {
		return err
	}
	defer store.Close()
	for _, l := range w.layers {
		there, err := store.Has(l.address)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		app.note("installing %s of %s, in a sandbox", l.Lock, w.harness.Skill.Name)
		waiting := func() { app.note("another nacre is installing something: waiting for it") }
		err = store.Make(l.address, waiting, func(folder string) error {
			if err := w.fetch(ctx, app, who, c, l, folder); err != nil {
				return err
			}
			return w.scripts(ctx, app, who, c, l, folder)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Where things are in the sandbox that fetches.
const (
	fetchedLock = "/opt/nacre/lock/package-lock.json"
	fetched     = "/work/layer"
)

// fetch has a layer's packages fetched and unpacked in a sandbox that reads the
// registry, writes the new folder, and has nothing else.
func (w *with) fetch(ctx context.Context, app *App, who owner, c grant.Input, l installed, folder string) error {
	program, err := install.Beside(app.Program, "nacre-harness")
	if err != nil {
		return err
	}
	lock := folder + ".lock"
	if err := writeNew(lock, w.harness.Lock(l.Layer), 0o600); err != nil {
		return err
	}
	defer os.Remove(lock)
	from, registry, err := app.registry()
	if err != nil {
		return err
	}
	own := nacre.Origin{File: nacre.OriginBuiltIn}
	m := &manifest.Manifest{Version: 1, Name: "installer", Loopback: true, Origin: own, Workdir: fetched,
		Command: []string{agentStarter, "fetch", fetchedLock, from, fetched}}
	m.Network = registry
	f := grant.Input{Input: compile.Input{Manifest: m, Policy: c.Policy, Ceiling: c.Ceiling, Owner: c.Owner, Subject: nacre.Subject{Lock: "built-in/installer"}}, Accept: c.Accept}
	f.Owner.PlainFiles = nil
	f.Granted.Network = registry
	for at, file := range map[string]manifest.File{agentStarter: {Path: program, Access: nacre.Read}, fetchedLock: {Path: lock, Access: nacre.Read}, fetched: {Path: folder, Access: nacre.Write}} {
		file.At, file.Origin = at, own
		f.Files = append(f.Files, file)
	}
	slices.SortFunc(f.Files, func(a, b manifest.File) int { return bytes.Compare([]byte(a.At), []byte(b.At)) })
	p, err := grant.Compile(f)
	if err == nil {
		err = app.alone(ctx, who, p, c, nil)
	}
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "what was fetched cannot be opened")
	}
	defer root.Close()
	return npm.Place(root)
}

// registry is where packages come from: npm's own, or what the owner has told npm.
func (app *App) registry() (address string, n []manifest.Network, err error) {
	own := nacre.Origin{File: nacre.OriginBuiltIn}
	for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} {
		if address = app.getenv(name); address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" || u.User != nil {
			return "", nil, fault.New(fault.Usage, "$%s: expected the address of a registry, found %q", name, address)
		}
		e := manifest.Network{NetworkGrant: nacre.NetworkGrant{Host: u.Hostname(), Scheme: u.Scheme}, Origin: own}
		if port, err := strconv.Atoi(u.Port()); err == nil {
			e.Ports = []int{port}
		}
		if _, err := netip.ParseAddr(e.Host); err == nil { // programs inside have names alone
			e.As = "registry.internal"
			u.Host = e.As
			if len(e.Ports) > 0 {
				u.Host += ":" + strconv.Itoa(e.Ports[0])
			}
		}
		err = e.Check()
		return u.String(), []manifest.Network{e}, err
	}
	m := &manifest.Manifest{}
	m.Network = []manifest.Network{{Preset: "npm", Origin: own}}
	if err := preset.Manifest(m); err != nil {
		return "", nil, err
	}
	return "https://" + m.Network[0].Host, m.Network, nil
}

// errFailed is a program of Nacre's own that has said what was wrong.
var errFailed = fault.New(fault.NotFound, "the packages were not installed").
	WithHint("nacre audit show says where the installer was not let; a registry of your own is what $npm_config_registry says")

// alone runs a plan of Nacre's own to its end; what it prints is for people, unless
// there is a place for it.
func (app *App) alone(ctx context.Context, who owner, p nacre.Plan, c grant.Input, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	engine, log, err := app.engine(who)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := app.upstream(who, engine, c.Ceiling, c.Policy); err != nil {
		return err
	}
	said := &noted{to: app}
	if out == nil {
		out = said
	}
	box, err := engine.Start(ctx, p, nacre.Streams{Out: out, Err: said})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = box.Stop(0) })
	exit, err := box.Wait()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return fault.New(fault.NotFound, "interrupted: nothing was installed")
	case whyEnded(exit, p.Limits) != "":
		return fault.New(fault.NotFound, "%s: nothing was installed", whyEnded(exit, p.Limits))
	case exit.Code != 0:
		return errFailed
	}
	return nil
}

// noted shows what a program prints, a line at a time and cleaned.
type noted struct {
	to   *App
	rest []byte
}

func (l *noted) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			l.rest = l.rest[max(0, len(l.rest)-4096):]
			return len(b), nil
		}
		l.to.note("%s", l.rest[:i])
		l.rest = l.rest[i+1:]
	}
}
