// Package launch is the supervisor's side of a gateway: it starts the process,
// gives it what the plan grants, and writes what it reports into the audit.
package launch

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/gateway/budget"
	"nacre/gateway/capture"
	"nacre/gateway/model"
	"nacre/gateway/wire"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/lockdown"
	"nacre/sandbox/spawn"
	"nacre/toolserver"
	"nacre/vault"
)

// Launcher starts gateways.
type Launcher struct {
	Program   string   // path of nacre-gateway
	Resolvers []string // name servers, as address:port; none: those of /etc/resolv.conf
	// Authorities are certificates (PEM) to trust outside besides the system's.
	Authorities []byte
	Proxy       string // http:// or socks5:// host:port, through which gateways reach the Internet
	ProxySecret string // the secret with its USER:PASSWORD
	// Learn has gateways grant nothing, and hear what would be asked for.
	Learn bool
	// Ask is asked while gateways learn; nil: nothing is let out.
	Ask Asker
	// Patience is how long a request waits for the answer.
	Patience time.Duration
	// KnownHosts are files with the keys of SSH servers; those that are not there
	// are left out.
	KnownHosts []string
	// Providers of models besides those that are known, or in their place.
	Providers map[string]model.Provider
	Budgets   string       // the folder in which it is kept what was used in a day
	Prices    model.Prices // of models, before those that are known
	// Opened is told of each gateway that has been started; nil: nobody is.
	Opened func(Changeable)
	// Keeper keeps refresh tokens that came in place of others; nil: each gateway has
	// its own for the run.
	Keeper *Keeper
	// Skills starts the tool server that a skill is; nil: none can be.
	Skills func(name string) (*toolserver.Server, error)
	// Secrets fetches those of these names; nil: there are none.
	Secrets func(names []string) (map[string]*vault.Secret, error)
}

// Supports refuses what no gateway can do yet: granted but not enforced would
// be worse than refused.
func (l *Launcher) Supports(p nacre.Plan) error {
	if _, err := l.providers(p); err != nil {
		return err
	}
	servers, err := toolServers(p)
	if err != nil {
		return err
	}
	for _, n := range p.Network {
		if err := sensible(n); err != nil {
			return err
		}
	}
	if l.Skills == nil && slices.ContainsFunc(servers, isSkill) {
		return fault.New(fault.Unsupported, "the plan grants tools of a skill, and none can be started here")
	}
	p.Network = slices.Concat(p.Network, towards(slices.DeleteFunc(servers, isSkill))) // what secrets may be bound to
	if err := errors.Join(bound(p), credible(p)); err != nil {
		return err
	}
	if len(p.Network)+len(p.Models) > 0 && !p.Loopback {
		return fault.New(fault.Unsupported, "the plan grants a network, which programs inside reach by their loopback, and forbids that").
			WithHint("leave loopback: false out of the manifest")
	}
	return nil
}

// reserved is the end of the names by which models and tools are reached inside.
const reserved = ".nacre.internal"

// sensible refuses a grant that would not do what it says.
func sensible(n nacre.NetworkGrant) error {
	a, err := netip.ParseAddr(n.Host)
	switch {
	case err == nil && a.IsLoopback() && n.As == "":
		return fault.New(fault.Unsupported, "%s is the sandbox's own loopback to programs inside", n.Host).WithHint("give it a name inside: as: db.internal")
	case strings.HasSuffix(n.Host, reserved) || strings.HasSuffix(n.As, reserved):
		return fault.New(fault.Unsupported, "%s is a name of Nacre's own inside", n.Summary).WithHint("give it another name inside: as: db.internal")
	case n.Scheme == "ssh" && strings.HasPrefix(n.Host, "*"):
		return fault.New(fault.Unsupported, "%s stands for many hosts, and a host is known by its key", n.Host).WithHint("name each host that is reached by SSH")
	}
	return nil
}

// link is one running gateway.
type link struct {
	process  *spawn.Child
	control  *wire.Conn
	report   func(context.Context, nacre.Event) error
	network  *capture.Network
	said     []nacre.Variable // by the plan
	revealed []nacre.Variable // what the plan gives to the agent itself
	outside  []byte           // certificates that programs inside must know themselves
	begun    chan struct{}    // closed once it is started, or cannot be
	shown    chan struct{}    // closed once all is shown that it says of itself
	failed   error            // that it cannot
	hello    chan wire.Hello
	ready    chan struct{}
	gone     chan struct{}
	once     sync.Once
	closing  chan struct{}
	closed   atomic.Bool
	writing  chan struct{} // has room for the records that are being written
	accounts map[string]*budget.Account

	ask       Asker
	questions int
	renewals  *renewals
	skills    []*toolserver.Server
}

// Open starts the gateway of a plan, as a user of its own where there is a uid
// to become, born into a control group.
func (l *Launcher) Open(p nacre.Plan, uid int, born func(func(v2 int) error) error, report func(context.Context, nacre.Event) error) (native.Gateway, error) {
	if l.Program == "" {
		return nil, fault.New(fault.NotFound, "nacre-gateway is missing beside nacre").WithHint("reinstall Nacre: make install puts its programs in place")
	}
	config := wire.Config{Rules: egress.Rules{Grants: p.Network}, IPv6: hasIPv6(), Proxy: l.Proxy}
	if l.Learn {
		config.Rules, config.Learn = egress.Rules{}, true
		if l.Ask != nil {
			config.Ask = l.Patience
		}
	}
	handed := false // to the process that is to have it, by begin
	defer func() {
		if !handed {
			config.Zero()
		}
	}()
	var err error
	if config.HostKeys, err = hostKeys(p, l.KnownHosts); err != nil {
		return nil, err
	}
	told, err := l.models(p, &config)
	if err != nil {
		return nil, err
	}
	where, err := tools(&p, &config)
	if err != nil {
		return nil, err
	}
	revealed, err := l.secrets(p, &config)
	if err != nil {
		return nil, err
	}
	g := &link{report: report, ask: l.Ask, said: p.Environment, revealed: slices.Concat(revealed, told, where), begun: make(chan struct{}), shown: make(chan struct{}), hello: make(chan wire.Hello, 1), ready: make(chan struct{}),
		gone: make(chan struct{}), closing: make(chan struct{}), writing: make(chan struct{}, maxWriting)}
	if g.accounts, err = l.accounts(p); err != nil {
		return nil, err
	}
	g.renewals = newRenewals(l.Keeper, config.Secrets)
	theirs, err := g.connect()
	if err != nil {
		closeAll(g.accounts)
		return nil, err
	}
	if g.skills, err = l.skills(&config); err != nil {
		theirs.Close()
		closeAll(g.accounts)
		return nil, errors.Join(err, g.control.Close(), closeSkills(g.skills))
	}
	o := lockdown.Options{UID: uid, NoLandlock: p.Accepts(nacre.TierNoLandlock)}
	handed = true
	go l.begin(g, config, func() (*os.File, error) { return g.start(born, l.Program, theirs, o) })
	g.outside = passedOn(p, l.Authorities)
	if g.network, err = capture.New(config.IPv6); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if l.Opened != nil {
		l.Opened(g)
	}
	return g, nil
}

// serve hears the gateway until it is gone.
func (g *link) serve() {
	defer close(g.gone)
	for {
		m, files, err := g.control.Receive()
		for _, f := range files {
			f.Close() // it has none to give
		}
		if err != nil {
			break
		}
		switch {
		case m.Hello != nil:
			offer(g.hello, *m.Hello)
		case m.Ready:
			g.once.Do(func() { close(g.ready) })
		case m.Record != nil:
			g.writing <- struct{}{} // a gateway that floods waits
			go g.record(*m.Record)
		case m.Renew != nil:
			g.renewals.lend(*m.Renew, func(m wire.Message) error { return g.tell(m) })
		case m.Rotated != nil:
			g.renewals.rotated(*m.Rotated)
		case m.Ask != nil:
			g.asked(*m.Ask)
		case m.Reserve != nil:
			g.writing <- struct{}{}
			go g.reserve(*m.Reserve)
		case m.Settle != nil:
			g.writing <- struct{}{}
			go g.settle(*m.Settle)
		}
	}
	g.settled()
	g.renewals.close()
	_ = g.process.Wait() // however it ended
	<-g.shown
	select {
	case <-g.closing:
	default:
		event := nacre.Event{Kind: "gateway.lost", Decision: nacre.Deny, Reason: "the gateway has ended: the sandbox has no network any more"}
		_ = g.report(context.Background(), event)
	}
}

func offer[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// maxWriting is how many records may be on their way to the disk.
const maxWriting = 256

// record writes what the gateway reports, and tells it. What it may say is
// bounded: it is the process that strangers talk to.
func (g *link) record(r wire.Record) {
	defer func() { <-g.writing }()
	ack := wire.Ack{ID: r.ID}
	if err := g.report(context.Background(), nacre.Event{Kind: "network." + kindOf(r.Event.Kind), Decision: r.Event.Decision,
		Rule: r.Event.Rule, Reason: r.Event.Reason, Detail: r.Event.Detail}); err != nil {
		ack.Error = err.Error()
	}
	_ = g.tell(wire.Message{Ack: &ack})
}

func kindOf(kind string) string {
	switch kind {
	case "connect", "request", "name", "packet", "usage", "token", "tool":
		return kind
	}
	return "other"
}

// deaf is how long a gateway may take to take what it is told.
const deaf = 10 * time.Second

// tell sends a running gateway something. One that does not take it, as if taken over,
// is ended: nobody waits for it, and it goes on with nothing that was revoked.
func (g *link) tell(m wire.Message, files ...*os.File) error {
	late := time.AfterFunc(deaf, g.kill)
	defer late.Stop()
	return g.control.Send(m, files...)
}

// kill ends the process, if there is one.
func (g *link) kill() {
	if <-g.begun; g.failed == nil {
		_ = g.process.Kill()
	}
}

// Sockets are opened inside.
func (g *link) Sockets() []blueprint.Socket { return g.network.Sockets() }

// patience is how long a gateway may take to say something.
const patience = 20 * time.Second

func (g *link) lost() error {
	return fault.New(fault.Unsupported, "the gateway does not answer").WithHint("nacre doctor says what this machine lacks")
}

// Furnish is what programs inside must know: files and variables.
func (g *link) Furnish(ctx context.Context) ([]blueprint.Entry, []nacre.Variable, error) {
	if <-g.begun; g.failed != nil {
		return nil, nil, g.failed
	}
	select {
	case hello := <-g.hello:
		if err := g.settleSkills(ctx); err != nil {
			return nil, nil, err
		}
		files, list, err := furnish(hello, g.outside)
		return files, unsaid(g.said, append(list, g.revealed...)), err
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-g.gone:
	case <-time.After(patience):
	}
	return nil, nil, g.lost()
}

// unsaid are the variables that have no value so far; of several of one name it is
// the first.
func unsaid(said, more []nacre.Variable) (list []nacre.Variable) {
	for _, v := range more {
		same := func(o nacre.Variable) bool { return o.Name == v.Name }
		if !slices.ContainsFunc(said, same) && !slices.ContainsFunc(list, same) {
			list = append(list, v)
		}
	}
	return list
}

// Serve sets up the network inside with the sockets that were opened there, hands
// them over, and returns once the gateway answers on them.
func (g *link) Serve(fds []int) ([]nacre.Expectation, error) {
	var sockets []*os.File
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "inside")
		defer f.Close()
		sockets = append(sockets, f)
	}
	serve, found, err := g.network.SetUp(sockets)
	if err != nil {
		return nil, err
	}
	if err := g.tell(wire.Message{Sockets: true}, serve...); err != nil {
		return nil, errors.Join(g.lost(), err)
	}
	select {
	case <-g.ready:
		return found, nil
	case <-g.gone:
	case <-time.After(patience):
	}
	return nil, g.lost()
}

// Change tells the gateway what its grants are now: of those that it was started
// with the ones with these ids, and more destinations.
func (g *link) Change(ids []string, more []nacre.NetworkGrant) error {
	return g.tell(wire.Message{Change: &wire.Change{Grants: ids, Network: more}})
}

// lastWords is how long a gateway may take to say what is left to say.
const lastWords = 2 * time.Second

// Close ends the gateway and waits until it has gone.
func (g *link) Close() error {
	if g.closed.Swap(true) {
		return nil
	}
	close(g.closing)
	<-g.begun
	late := time.AfterFunc(lastWords, g.kill)
	_ = g.control.Send(wire.Message{Stop: true}) // where it fails, it is gone
	<-g.gone
	late.Stop()
	return errors.Join(closeSkills(g.skills), g.control.Close())
}
