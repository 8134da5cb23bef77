// Package gateway is the process through which everything passes that a sandbox
// sends: outside the sandbox, one for each, and confined itself. Every way in
// takes the same steps: intent, decision, record, dial, relay.
package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nacre"
	"nacre/gateway/wire"
)

// Gateway serves one sandbox.
type Gateway struct {
	config wire.Config
	book   *book
	names  *names
	meters *meters
	keys
	dialer *dialer
	web    *http.Server
	door   *door // connections on their way to web

	desks    map[string]wire.Model // by the name that they have inside
	hosts    func() []string       // of the providers of models that are known
	till     *till
	asker    *asker
	lender   *lender
	benches  map[string]*bench // of tools, likewise
	outside  http.RoundTripper // for what is asked on behalf of programs
	tokens   tokens
	lures    lures
	searches searches

	now   atomic.Pointer[current]
	share sync.Once    // of the processors, once there is something to do
	open  sync.Map     // connections inside, each with its destination
	crowd atomic.Int64 // how many

	turned  *os.File      // the kernel's reports of what went nowhere
	drained chan struct{} // closed once nothing more is read there
}

// Calls are the system calls that a gateway needs once it runs: memory, threads
// and time for the Go runtime, and sockets.
func Calls() []string {
	return []string{
		"read", "write", "writev", "close", "fcntl", "dup", "dup3", "ioctl", // descriptors that it has
		"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "epoll_pwait2", "eventfd2", "pipe2", "ppoll", "poll", // waiting
		"splice", "sendfile", // from one socket to another
		"mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "mincore", // memory
		"clone", "futex", "exit", "exit_group", "set_robust_list", "rseq", "gettid", "getpid", "tgkill", "sched_yield", "sched_getaffinity", "arch_prctl", // threads
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", // signals of the runtime's own
		"nanosleep", "clock_nanosleep", "clock_gettime", "gettimeofday", "time", "timer_create", "timer_settime", "timer_delete", "setitimer", "getrandom", // time and chance
		"socket", "connect", "bind", "accept4", "accept", "shutdown", "getsockname", "getpeername", "getsockopt", "setsockopt",
		"sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", // the network
		"getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "prlimit64", "getrlimit", "getrusage",
	}
}

// Main has the process confined and talks with the supervisor until that is gone. The
// sandbox waits for the keys alone, so they are made at once; nothing is read before the
// process is confined.
func Main(control *wire.Conn, confine func() error, configured func() (wire.Config, error)) error {
	var k keys
	greeted := make(chan error, 1)
	go func() {
		var err error
		if k, err = newKeys(); err == nil {
			err = control.Send(wire.Message{Hello: &wire.Hello{Root: k.signer.root(), SSH: k.porter.known}})
		}
		greeted <- err
	}()
	if err := confine(); err != nil {
		return err
	}
	if err := <-greeted; err != nil {
		return err
	}
	config, err := configured()
	if err != nil {
		return err
	}
	g, err := k.gateway(config, control)
	if err != nil {
		return err
	}
	for {
		m, files, err := control.Receive()
		switch {
		case err != nil:
			return err // the supervisor is gone: so are we
		case m.Sockets:
			if err := g.Serve(files); err != nil {
				return err
			}
			err = control.Send(wire.Message{Ready: true})
			if err != nil {
				return err
			}
		case m.Change != nil:
			g.change(*m.Change)
		case m.Stop:
			go g.stop()
		case m.Ack != nil:
			g.book.acknowledged(*m.Ack)
		case m.Answer != nil:
			g.asker.answered(*m.Answer)
		case m.Renewed != nil:
			g.lender.answered(*m.Renewed)
		case m.Reserved != nil:
			g.till.answered(*m.Reserved)
		}
	}
}

// stop says what is left to say and ends.
func (g *Gateway) stop() {
	if g.turned != nil {
		_ = g.turned.SetReadDeadline(time.Now()) // the reader then ends
		<-g.drained
		g.drain()
	}
	g.tokens.close()
	g.book.close(context.Background())
	g.till.close()
	os.Exit(0)
}

// New makes a gateway that does not serve yet.
func New(config wire.Config, control *wire.Conn) (*Gateway, error) {
	k, err := newKeys()
	if err != nil {
		return nil, err
	}
	return k.gateway(config, control)
}

// keys are what programs inside know a gateway by.
type keys struct {
	signer *authority
	porter porter
}

func newKeys() (k keys, err error) {
	if k.signer, err = newAuthority(); err == nil {
		k.porter, err = newPorter()
	}
	return k, err
}

func (k keys) gateway(config wire.Config, control *wire.Conn) (*Gateway, error) {
	g := &Gateway{config: config, keys: k, book: newBook(control), names: newNames(config.IPv6), meters: newMeters(),
		door: &door{waiting: make(chan net.Conn)}}
	g.now.Store(&current{config.Rules, config.Secrets})
	g.dialer, g.desks, g.till = newDialer(config), newDesks(config.Models), newTill(control)
	g.hosts = sync.OnceValue(knownHosts)
	g.lures, g.asker, g.lender = newLures(config.Secrets), newAsker(control, config.Ask), newLender(control)
	g.outside = g.lazily(true)
	g.web = g.newServer()
	var err error
	g.benches, err = g.newBenches(config.Tools)
	return g, err
}

// Serve begins to answer on the sockets that were opened inside: TCP and DNS for
// each address family, then the reports of what went nowhere.
func (g *Gateway) Serve(files []*os.File) error {
	families := 1
	if g.config.IPv6 {
		families = 2
	}
	if len(files) != 2*families+1 {
		return errors.New("not the sockets that were asked for")
	}
	for i := range families {
		l, err := net.FileListener(files[2*i])
		if err != nil {
			return err
		}
		p, err := net.FilePacketConn(files[2*i+1])
		if err != nil {
			return err
		}
		go g.accept(l)
		go g.answer(p)
		files[2*i].Close()
		files[2*i+1].Close()
	}
	g.turned, g.drained = files[2*families], make(chan struct{})
	go g.reports()
	go func() { _ = g.web.Serve(g.door) }()
	return nil
}

// intend decides, and records the decision: where that fails, nothing is done.
func (g *Gateway) intend(ctx context.Context, kind string, d nacre.Decision, detail map[string]string) error {
	event := nacre.Event{Kind: kind, Decision: d.Effect, Rule: d.Rule, Reason: d.Reason, Detail: detail}
	if detail == nil {
		event.Detail = map[string]string{}
	}
	event.Detail["to"] = d.Subject
	if d.Effect != nacre.Allow {
		g.book.denied(ctx, event)
		return &refusal{d}
	}
	return g.book.allow(ctx, event)
}

// refusal is a decision that denied, as an error.
type refusal struct{ nacre.Decision }

func (r *refusal) Error() string { return "not allowed: " + r.Reason }
