// Package ask has images prepared by nacre-image, so that what does so (package
// image, and all that speaks to registries) is in a program of its own: nacre
// starts without it, and few runs need it.
package ask

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"nacre"
	"nacre/fault"
	"nacre/localapi/api"
	"nacre/localapi/wire"
)

// Artifact asks for the one file of an artifact, in place of an image's folder:
// the answer names its digest, and hands over the file.
const Artifact nacre.ImageKind = "artifact"

// Line is the descriptor on which nacre-image gets a nacre.Image and sends back a
// Reply.
const Line = 3

// Reply is the answer. Beside it travels the descriptor that holds the folder:
// as long as that is open, the image is not removed.
type Reply struct {
	Folder string       `json:"folder,omitempty"`
	Error  *api.Problem `json:"error,omitempty"`
}

// Prepare has nacre-image give the folder of an image in a cache. What it has
// to tell meanwhile it writes to told.
func Prepare(ctx context.Context, program, cache string, asked nacre.Image, told io.Writer) (folder string, held *os.File, err error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "nacre"), os.NewFile(uintptr(pair[1]), "nacre-image")
	defer ours.Close()
	defer theirs.Close()
	c := exec.CommandContext(ctx, program, cache)
	c.Stderr, c.ExtraFiles = told, []*os.File{theirs}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it leaves nothing half done
	conn, err := Conn(ours)
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	if err := c.Start(); err != nil {
		return "", nil, fault.Wrap(fault.Internal, err, "cannot start nacre-image")
	}
	theirs.Close()
	var reply Reply
	var fds []int
	if err = wire.Send(conn, asked); err == nil {
		fds, err = wire.Receive(conn, &reply)
	}
	ended := c.Wait()
	switch {
	case err != nil:
		return "", nil, fault.Wrap(fault.Internal, errors.Join(err, ended), "nacre-image did not answer")
	case reply.Error != nil:
		wire.Close(fds)
		return "", nil, reply.Error.Err()
	case len(fds) != 1:
		wire.Close(fds)
		return "", nil, fault.New(fault.Internal, "nacre-image handed over %d folders", len(fds))
	}
	return reply.Folder, os.NewFile(uintptr(fds[0]), reply.Folder), nil
}

// Conn is a socket as a connection.
func Conn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fault.New(fault.Usage, "descriptor %d is no socket of nacre's", f.Fd())
	}
	return conn, nil
}
