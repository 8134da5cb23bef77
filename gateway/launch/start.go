package launch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
	"nacre/gateway/wire"
	"nacre/sandbox/lockdown"
)

// begin starts the process, while the caller goes on, and hears it until it is gone.
func (l *Launcher) begin(g *link, config wire.Config, start func() (*os.File, error)) {
	pipe, err := start()
	if err != nil {
		config.Zero()
		g.failed = unstarted(l.Program, err)
		closeAll(g.accounts)
		close(g.begun)
		close(g.gone)
		return
	}
	close(g.begun)
	go l.configure(config, pipe)
	g.serve()
}

// configure tells a gateway the rest of what it has to know, while that begins.
func (l *Launcher) configure(config wire.Config, pipe *os.File) {
	defer pipe.Close()
	defer config.Zero()
	config.Own, config.Authorities = own(), l.Authorities
	if config.Resolvers = l.Resolvers; len(config.Resolvers) == 0 {
		config.Resolvers = resolvers()
	}
	_ = config.Write(pipe) // where it fails, the gateway refuses what it reads
}

// own are the addresses of this machine.
func own() (list []netip.Addr) {
	addresses, _ := net.InterfaceAddrs() // those that are not found are refused by class, or are public
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr().WithZone(""))
		}
	}
	return list
}

// hasIPv6 tells whether new namespaces of this machine have it.
func hasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// serving is the word by which the supervisor starts a gateway; no person does.
const serving = "serve"

// connect makes the control socket, and returns the gateway's end.
func (g *link) connect() (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "control")
	if g.control, err = wire.NewConn(os.NewFile(uintptr(pair[0]), "control")); err != nil {
		theirs.Close()
	}
	return theirs, err
}

// maxWords bounds what a gateway says of itself, in bytes.
const maxWords = 64 << 10

// words shows what a gateway says of itself, which is why it ends. It has no terminal of
// the owner's, from which it could read too, and none obeys what it says.
func (g *link) words(from *os.File) {
	defer close(g.shown)
	defer from.Close()
	plain := func(r rune) rune {
		if r == '\n' || audit.Plain(r) {
			return r
		}
		return -1
	}
	for lines := bufio.NewReader(io.LimitReader(from, maxWords)); ; {
		line, err := lines.ReadString('\n')
		_, _ = os.Stderr.WriteString(strings.Map(plain, line))
		if err != nil {
			break
		}
	}
	_, _ = io.Copy(io.Discard, from)
}

// start starts the process, and returns the pipe on which it hears its configuration.
func (g *link) start(born func(func(v2 int) error) error, program string, theirs *os.File, o lockdown.Options) (*os.File, error) {
	defer theirs.Close()
	var streams []*os.File
	for _, s := range g.skills {
		streams = append(streams, s.Stream)
		defer s.Stream.Close() // it is the gateway's alone
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	words, says, err := os.Pipe()
	if err != nil {
		w.Close()
		return nil, err
	}
	defer says.Close()
	go g.words(words)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	system := certificates()
	if system == nil {
		system = null
	}
	defer system.Close()
	args := []string{"nacre-gateway", serving}
	if o.NoLandlock {
		args = append(args, string(nacre.TierNoLandlock))
	}
	files := append([]*os.File{null, null, says, theirs, r, system}, streams...)
	err = born(func(v2 int) (err error) {
		o.Group = v2
		defer unhurried()()
		g.process, err = lockdown.Start(program, args, files, o)
		return err
	})
	if err != nil {
		w.Close()
		if g.process != nil { // started, but its starter is in the wrong group
			err = errors.Join(err, g.process.Kill(), g.process.Wait())
		}
		return nil, err
	}
	return w, nil
}

// slack is by how much what a gateway waits for by the clock may be late, in nanoseconds:
// none of it has to be more exact.
const slack = "4000000"

// unhurried has what this thread starts be woken late by as much, until end. Else the Go
// runtime in a gateway looks after itself every 70 µs while anything goes on, which took a
// third of all that a connection cost there. Where it fails, a gateway is slower, and no less.
func unhurried() (end func()) {
	runtime.LockOSThread()
	own := fmt.Sprintf("/proc/%d/timerslack_ns", unix.Gettid())
	_ = os.WriteFile(own, []byte(slack), 0)
	return func() {
		_ = os.WriteFile(own, []byte("0"), 0) // which means what it was
		runtime.UnlockOSThread()
	}
}
