package localapi

import (
	"context"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/localapi/api"
	"nacre/localapi/wire"
	"nacre/terminal"
)

// exec runs a command on the caller's own streams, or relays between the caller
// and a new terminal. A command on streams ends with its caller.
func (s *Server) exec(ctx context.Context, c *net.UnixConn, r api.Request, fds []int) (nacre.Exit, error) {
	if r.TTY {
		return s.Box.Exec(ctx, r.Words(), nacre.Streams{TTY: true, Size: r.Size,
			Terminal: func(ctx context.Context, master *os.File, capped func(io.Writer) io.Writer) {
				_ = relay(ctx, c, master, capped) // the caller hears how the command ended
			}})
	}
	if len(fds) != 3 {
		return nacre.Exit{}, fault.New(fault.Usage, "exec takes stdin, stdout and stderr")
	}
	in, out, errs := open(fds[0], "/dev/stdin"), open(fds[1], "/dev/stdout"), open(fds[2], "/dev/stderr")
	defer func() { in.Close(); out.Close(); errs.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		listen(c, nil)
	}()
	shown, over := terminal.Guarded(out)
	defer over()
	told, also := terminal.Guarded(errs)
	defer also()
	return s.Box.Exec(ctx, r.Words(), nacre.Streams{In: in, Out: shown, Err: told})
}

// open takes a copy of a descriptor; the caller closes the original.
func open(fd int, name string) *os.File {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(dup), name)
}

// listen hears the caller's terminal change its size, until the caller is gone.
func listen(c *net.UnixConn, resized func(nacre.Window)) {
	for {
		var r api.Request
		fds, err := wire.Receive(c, &r)
		wire.Close(fds)
		if err != nil {
			return
		}
		if r.Op == api.Resize && resized != nil {
			resized(r.Size)
		}
	}
}

// relay passes keys and output between a terminal's master and the caller, who
// gets a socket: what the program writes counts against the plan's limit, which
// it would not if the caller read the master itself. It ends with the program,
// or when the caller hangs up; then the terminal does so too.
func relay(ctx context.Context, c *net.UnixConn, master *os.File, capped func(io.Writer) io.Writer) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = wire.Send(c, api.Reply{Terminal: true}, pair[1])
	unix.Close(pair[1])
	caller := polled(pair[0])
	defer caller.Close()
	if err != nil {
		return err
	}
	dup, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err
	}
	tty := polled(dup) // whose Close wakes who reads it
	defer tty.Close()
	raw, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel() // no keys will come: the caller hung up
		_, _ = io.Copy(keys{tty}, caller)
	}()
	go func() {
		defer cancel()
		listen(c, func(w nacre.Window) {
			_ = raw.Control(func(fd uintptr) {
				_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: w.Rows, Col: w.Columns})
			})
		})
	}()
	go func() {
		defer cancel()
		_, _ = io.Copy(capped(caller), tty)
	}()
	<-ctx.Done()
	return nil
}

// keys swallows what is typed when the program is gone: what that still had to
// say is on its way.
type keys struct{ tty io.Writer }

func (k keys) Write(p []byte) (int, error) {
	_, _ = k.tty.Write(p)
	return len(p), nil
}

// polled makes a file of a descriptor; reads from it end when it is closed.
func polled(fd int) *os.File {
	_ = unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), "relay")
}
