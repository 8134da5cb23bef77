// Package client talks to a running sandbox's control socket.
package client

import (
	"net"
	"os"
	"time"

	"nacre"
	"nacre/fault"
	"nacre/localapi/api"
	"nacre/localapi/wire"
	"nacre/runs"
)

// Client reaches one sandbox.
type Client struct{ Socket string }

func (c Client) dial() (*net.UnixConn, error) {
	var conn *net.UnixConn
	short, done, err := runs.Short(c.Socket)
	if err == nil {
		defer done()
		conn, err = net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: short, Net: "unixpacket"})
	}
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "cannot reach the sandbox").
			WithHint("it may just have ended: nacre ps")
	}
	return conn, nil
}

func (c Client) ask(r api.Request) (api.Reply, error) {
	conn, err := c.dial()
	if err != nil {
		return api.Reply{}, err
	}
	defer conn.Close()
	if err := wire.Send(conn, r); err != nil {
		return api.Reply{}, err
	}
	return receive(conn)
}

func receive(conn *net.UnixConn) (reply api.Reply, err error) {
	fds, err := wire.Receive(conn, &reply)
	wire.Close(fds)
	if err != nil {
		return reply, fault.Wrap(fault.NotFound, err, "the sandbox did not answer").
			WithHint("it may just have ended: nacre ps")
	}
	return reply, reply.Error.Err()
}

// Stop asks the command to end, and kills all after the grace.
func (c Client) Stop(grace time.Duration) error {
	_, err := c.ask(api.Request{Op: api.Stop, Grace: grace})
	return err
}

// Signal sends a signal to the command.
func (c Client) Signal(number int) error {
	_, err := c.ask(api.Request{Op: api.Signal, Number: number})
	return err
}

// Usage is what the sandbox uses now.
func (c Client) Usage() (nacre.Usage, error) {
	reply, err := c.ask(api.Request{Op: api.Usage})
	if err != nil || reply.Usage == nil {
		return nacre.Usage{}, err
	}
	return *reply.Usage, nil
}

// Posture is what holds now, beside what must.
func (c Client) Posture() ([]nacre.Expectation, error) {
	reply, err := c.ask(api.Request{Op: api.Posture})
	return reply.Posture, err
}

// Plan is what the sandbox may do now.
func (c Client) Plan() (nacre.Plan, error) {
	reply, err := c.ask(api.Request{Op: api.Plan})
	if err != nil || reply.Plan == nil {
		return nacre.Plan{}, err
	}
	return *reply.Plan, nil
}

// Asked is what the sandbox's owner is asked now.
func (c Client) Asked() (api.Questions, error) {
	reply, err := c.ask(api.Request{Op: api.Asked})
	if err != nil || reply.Asked == nil {
		return api.Questions{}, err
	}
	return *reply.Asked, nil
}

// Answer answers one of these questions.
func (c Client) Answer(number int, allow bool) error {
	_, err := c.ask(api.Request{Op: api.Answer, Number: number, Allow: allow})
	return err
}

// Exec runs another command on the given streams and returns how it ended.
func (c Client) Exec(command []string, in, out, errs *os.File) (nacre.Exit, error) {
	conn, err := c.dial()
	if err != nil {
		return nacre.Exit{}, err
	}
	defer conn.Close()
	r := api.Request{Op: api.Exec, Command: api.Words(command)}
	if err := wire.Send(conn, r, int(in.Fd()), int(out.Fd()), int(errs.Fd())); err != nil {
		return nacre.Exit{}, err
	}
	return exited(receive(conn))
}

// ExecTTY runs another command on a terminal of its own. It hands attach a
// socket for what is typed and shown there, and how to tell its size; attach
// returns when the terminal has ended.
func (c Client) ExecTTY(command []string, size nacre.Window, attach func(socket *os.File, resize func(nacre.Window) error) error) (nacre.Exit, error) {
	conn, err := c.dial()
	if err != nil {
		return nacre.Exit{}, err
	}
	defer conn.Close()
	if err := wire.Send(conn, api.Request{Op: api.Exec, Command: api.Words(command), TTY: true, Size: size}); err != nil {
		return nacre.Exit{}, err
	}
	var first api.Reply
	fds, err := wire.Receive(conn, &first)
	if err != nil || len(fds) != 1 {
		wire.Close(fds)
		return exited(first, first.Error.Err())
	}
	socket := os.NewFile(uintptr(fds[0]), "terminal")
	attached := attach(socket, func(w nacre.Window) error { return wire.Send(conn, api.Request{Op: api.Resize, Size: w}) })
	exit, err := exited(receive(conn))
	if err == nil {
		err = attached
	}
	return exit, err
}

func exited(reply api.Reply, err error) (nacre.Exit, error) {
	if err != nil {
		return nacre.Exit{}, err
	}
	if reply.Exit == nil {
		return nacre.Exit{}, fault.New(fault.Internal, "the sandbox did not say how the command ended")
	}
	return *reply.Exit, nil
}
