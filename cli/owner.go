package cli

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/install"
	"nacre/load"
	"nacre/policy"
	"nacre/runs"
	"nacre/strict"
)

// owner is who runs nacre, and where their things are.
type owner struct {
	uid                   int
	home, cwd             string
	config, state, system string // folders of policy, state and ceiling
	cache, homes          string // folders of what can be fetched again, and of homes that are kept
}

// errNoHome is a machine without a home for the owner.
var errNoHome = errors.New("$HOME is not set to an absolute path")

func (app *App) owner() (owner, error) {
	o := owner{uid: os.Geteuid(), home: app.getenv("HOME"), system: "/etc/nacre"}
	if !filepath.IsAbs(o.home) {
		return o, fault.Wrap(fault.Usage, errNoHome, "cannot tell where your files are").WithHint("set it: HOME=/home/you nacre …; policy, record and vault are below it")
	}
	o.home = filepath.Clean(o.home)
	o.config = xdg(app.getenv("XDG_CONFIG_HOME"), o.home, ".config")
	o.state = xdg(app.getenv("XDG_STATE_HOME"), o.home, ".local/state")
	o.cache = xdg(app.getenv("XDG_CACHE_HOME"), o.home, ".cache")
	o.homes = xdg(app.getenv("XDG_DATA_HOME"), o.home, ".local/share") + "-homes" // what is called nacre is masked wherever it is
	cwd, err := os.Readlink("/proc/self/cwd")                                     // without links, whatever $PWD says
	if err != nil {
		return o, fault.Wrap(fault.NotFound, err, "cannot tell the current folder")
	}
	o.cwd = cwd
	return o, nil
}

func xdg(value, home, fallback string) string {
	if !filepath.IsAbs(value) { // the specification says to ignore those
		value = filepath.Join(home, fallback)
	}
	return filepath.Join(value, "nacre")
}

// own are the folders and programs of Nacre's that no agent may have. Programs that
// sandboxes are given can be read; a name below them, which nothing has, keeps them
// from being granted to write.
func (o owner) own(program, runtimeDir string) []string {
	list := []string{o.config, o.state, o.system, runs.Folder(o.uid, runtimeDir, o.state)}
	for _, p := range install.All(program) {
		if install.Delivered(p) {
			p = filepath.Join(p, "-")
		}
		list = append(list, p)
	}
	return list
}

func (o owner) policyPath() string { return filepath.Join(o.config, "policy.yaml") }

func (o owner) providersPath() string { return filepath.Join(o.config, "providers.yaml") }
func (o owner) ceilingPath() string   { return filepath.Join(o.system, "policy.yaml") }
func (o owner) layerDir() string      { return filepath.Join(o.cache, "layers") }
func (o owner) logDir() string        { return filepath.Join(o.state, "logs") }
func (o owner) budgetDir() string     { return filepath.Join(o.state, "budgets") }
func (o owner) auditDir() string      { return filepath.Join(o.state, "audit") }
func (o owner) auditKey() string      { return filepath.Join(o.state, "audit.key") }

// engine makes the native engine with its audit. Close the audit at the end.
func (app *App) engine(o owner) (*native.Engine, *audit.Log, error) {
	init, err := install.Beside(app.Program, install.Init)
	if err != nil {
		return nil, nil, err
	}
	store, err := app.runs(o)
	if err != nil {
		return nil, nil, err
	}
	log, err := audit.Open(o.auditDir(), o.uid)
	if err != nil {
		return nil, nil, err
	}
	// A shell that stops this process, by Ctrl-Z or because it would read in the
	// background, does not stop the agent: that would go on without time limit and masks.
	signal.Ignore(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	caller := nacre.Caller{UID: o.uid, PID: os.Getpid(), Name: "cli"}
	e := &native.Engine{Init: init, Runs: store, Audit: log, Caller: caller, Images: images{app, o.imageDir()}.Prepare}
	if program, err := install.Beside(app.Program, "nacre-gateway"); err == nil {
		e.Gateways = &launch.Launcher{Program: program, Secrets: app.secrets(o), Budgets: o.budgetDir(), Keeper: app.keeper(o)}
	}
	return e, log, nil
}

func (app *App) runs(o owner) (*runs.Store, error) {
	return runs.Open(o.uid, runs.Folder(o.uid, app.getenv("XDG_RUNTIME_DIR"), o.state))
}

// upstream has gateways reach the Internet as the policies say: the
// administrator's first.
func (app *App) upstream(o owner, e *native.Engine, policies ...*policy.Policy) error {
	l, ok := e.Gateways.(*launch.Launcher)
	if !ok {
		return nil
	}
	var err error
	if l.Prices, err = load.Prices(filepath.Join(o.config, "prices.yaml"), o.uid); err != nil {
		return err
	}
	if l.Providers, err = load.Providers(o.providersPath(), o.uid); err != nil {
		return err
	}
	l.KnownHosts = []string{filepath.Join(o.home, ".ssh/known_hosts"), "/etc/ssh/ssh_known_hosts"}
	for _, p := range slices.Backward(policies) { // the administrator's last: it counts
		if p != nil && p.Upstream.KnownHosts != nil {
			l.KnownHosts = o.below(p.Upstream.KnownHosts)
		}
	}
	for _, p := range policies {
		if p == nil {
			continue
		}
		u := p.Upstream
		if l.Proxy == "" {
			l.Proxy, l.ProxySecret = u.Proxy, u.Secret
		}
		if len(l.Resolvers) == 0 {
			l.Resolvers = u.Resolvers
		}
		for _, path := range o.below(u.Authorities) {
			text, err := os.ReadFile(path)
			if err != nil {
				return strict.Invalid(u.Origin, "upstream: authorities: %v", err)
			}
			l.Authorities = append(append(l.Authorities, text...), '\n')
		}
	}
	return nil
}

// below are paths of which some are written below the owner's home.
func (o owner) below(paths []string) (list []string) {
	for _, path := range paths {
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			path = filepath.Join(o.home, rest)
		}
		list = append(list, path)
	}
	return list
}

// getenv is the value of one of the owner's variables.
func (app *App) getenv(name string) string {
	for _, pair := range app.Environ() {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
