package build

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// network has the kernel lead everything that is sent in this namespace to
// sockets, tries whether it does, and passes the sockets out.
func (b *builder) network() error {
	n := b.spec.Network
	if n == nil {
		return nil
	}
	captured := blueprint.Message{Kind: blueprint.Captured, Facts: map[string]string{}}
	var fds []int
	for _, s := range n.Sockets {
		fd, err := listen(s)
		if err != nil {
			return fmt.Errorf("%+v: %w", s, err)
		}
		fds = append(fds, fd)
	}
	for _, l := range n.Netlink {
		fd, err := converse(l)
		if err != nil {
			return fmt.Errorf("netlink %d: %w", l.Protocol, err)
		}
		unix.Close(fd)
	}
	for i, s := range n.Sockets { // before there are reports: what is tried here is none of theirs
		item, _ := s.Promise()
		captured.Facts[item] = try(fds[i], s)
	}
	reports, err := converse(n.Reports)
	if err != nil {
		return fmt.Errorf("reports: %w", err)
	}
	fds = append(fds, reports)
	err = blueprint.Send(blueprint.ControlFD, captured, fds...)
	blueprint.CloseAll(fds)
	return err
}

// open makes a socket, with its loopback address and one that is nobody's (of
// the ranges for documentation, port 9).
func open(s blueprint.Socket, flags int) (fd int, loopback, nowhere unix.Sockaddr, err error) {
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	loopback, nowhere = &unix.SockaddrInet4{Port: s.Port, Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, 2, 1}}
	if s.IPv6 {
		family, loopback = unix.AF_INET6, &unix.SockaddrInet6{Port: s.Port, Addr: [16]byte{15: 1}}
		nowhere = &unix.SockaddrInet6{Port: 9, Addr: [16]byte{0x20, 1, 0x0d, 0xb8, 15: 1}}
	}
	if s.Datagram {
		kind = unix.SOCK_DGRAM
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|flags, 0)
	return fd, loopback, nowhere, err
}

func listen(s blueprint.Socket) (int, error) {
	fd, loopback, _, err := open(s, unix.SOCK_NONBLOCK)
	if err == nil {
		err = unix.Bind(fd, loopback)
	}
	if err == nil && !s.Datagram {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	return fd, err
}

// try sends to nowhere, and says what came of it.
func try(socket int, s blueprint.Socket) string {
	_, found := s.Promise()
	fd, _, nowhere, err := open(s, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Connect(fd, nowhere) // through loopback: done at once
	}
	if err == nil && s.Datagram {
		if err = unix.Send(fd, []byte{0}, 0); errors.Is(err, unix.EPERM) {
			return found
		}
		found = "sent"
	}
	if err == nil && !s.Datagram {
		arrive(socket)
		var arrived int
		if arrived, _, err = unix.Accept(socket); err == nil {
			unix.Close(arrived)
		}
	}
	if err != nil {
		found = err.Error()
	}
	return found
}

// arrive waits until a connection has arrived: whoever makes it hears so a packet
// earlier, which on a busy machine can be seen. Where none comes, accept says so.
func arrive(socket int) {
	p := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}}
	for err := error(unix.EINTR); errors.Is(err, unix.EINTR); {
		_, err = unix.Poll(p, 5000)
	}
}

// converse sends messages to the kernel and hears that each was obeyed: those that it is
// to say so of are numbered from 1.
func converse(l blueprint.Netlink) (int, error) {
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, l.Protocol)
	if err == nil {
		err = unix.Sendto(fd, l.Messages, 0, kernel)
	}
	answer := make([]byte, 64<<10)
	for acks := 0; err == nil && acks < l.Acks; {
		n, _, received := unix.Recvfrom(fd, answer, 0)
		messages, parsed := syscall.ParseNetlinkMessage(answer[:max(n, 0)])
		err = errors.Join(received, parsed)
		for _, m := range messages {
			if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				continue
			}
			// Little-endian, as both architectures are: minus the error, or 0.
			if code := int32(m.Data[0]) | int32(m.Data[1])<<8 | int32(m.Data[2])<<16 | int32(m.Data[3])<<24; code != 0 {
				return fd, syscall.Errno(-code)
			}
			if acks++; m.Header.Seq != uint32(acks) {
				return fd, unix.EBADMSG
			}
		}
	}
	return fd, err
}
