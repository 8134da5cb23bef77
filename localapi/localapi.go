// Package localapi serves a running sandbox's control socket. Only the owner
// and root are listened to, and nobody from inside a sandbox, even where the
// folder of the socket was granted.
package localapi

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/localapi/api"
	"nacre/localapi/wire"
	"nacre/runs"
)

// Server answers for one sandbox.
type Server struct {
	Box  nacre.Sandbox
	Plan func() nacre.Plan // as it holds now
	UID  int               // the owner
	Asks Asks
}

// Asks is somebody who asks the owner; nil: nobody does.
type Asks interface {
	Questions() api.Questions
	Answer(number int, allow bool) error
}

// Listen makes the socket. Its file is removed with its folder, not when the
// listener is closed.
func Listen(path string) (*net.UnixListener, error) {
	short, done, err := runs.Short(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: short, Net: "unixpacket"})
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "cannot make the control socket")
	}
	l.SetUnlinkOnClose(false)
	return l, os.Chmod(short, 0o600)
}

// Serve answers until the listener is closed, and returns when the last
// answer is given.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener) {
	var answering sync.WaitGroup
	defer answering.Wait()
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		answering.Go(func() {
			defer c.Close()
			s.handle(ctx, c)
		})
	}
}

// requestTime is how long a caller may take to say what it wants.
const requestTime = 5 * time.Second

func (s *Server) handle(ctx context.Context, c *net.UnixConn) {
	if !s.trusted(c) {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(requestTime))
	var r api.Request
	fds, err := wire.Receive(c, &r)
	if err != nil {
		return
	}
	defer wire.Close(fds)
	_ = c.SetReadDeadline(time.Time{})
	reply, err := s.answer(ctx, c, r, fds)
	reply.Error = api.ProblemOf(err)
	_ = wire.Send(c, reply)
}

// trusted tells whether the caller is the owner or root.
func (s *Server) trusted(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	err = errors.Join(raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}), err)
	return err == nil && peer != nil && (int(peer.Uid) == s.UID || peer.Uid == 0) && outside(peer.Pid)
}

// outside tells whether a process is in our own user namespace. An agent may
// have its owner's user id outside (TierOwnerUID, or any folder granted by a
// plain user), so that this number alone says nothing.
func outside(pid int32) bool {
	theirs, err := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/ns/user")
	ours, err2 := os.Readlink("/proc/self/ns/user")
	return err == nil && err2 == nil && theirs == ours
}

func (s *Server) answer(ctx context.Context, c *net.UnixConn, r api.Request, fds []int) (reply api.Reply, err error) {
	switch r.Op {
	case api.Exec:
		exit, err := s.exec(ctx, c, r, fds)
		return api.Reply{Exit: &exit}, err
	case api.Signal:
		return reply, s.Box.Signal(r.Number)
	case api.Stop:
		return reply, s.Box.Stop(r.Grace)
	case api.Usage:
		u, err := s.Box.Usage()
		return api.Reply{Usage: &u}, err
	case api.Posture:
		reply.Posture, err = s.Box.Posture()
		return reply, err
	case api.Plan:
		p := s.Plan()
		return api.Reply{Plan: &p}, nil
	case api.Asked, api.Answer:
		return s.asked(r)
	default:
		return reply, fault.New(fault.Usage, "unknown request %q", string(r.Op))
	}
}

func (s *Server) asked(r api.Request) (reply api.Reply, err error) {
	switch {
	case s.Asks == nil:
		return reply, fault.New(fault.Usage, "this sandbox asks nothing").WithHint("nacre learn --ask does")
	case r.Op == api.Answer:
		return reply, s.Asks.Answer(r.Number, r.Allow)
	}
	q := s.Asks.Questions()
	return api.Reply{Asked: &q}, nil
}
