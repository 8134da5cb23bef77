package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// ways are the sockets in which what is sent to anywhere arrives, and how it is
// found out that it does.
func (n *Network) ways() (list []way) {
	list = []way{{port: TCPPort}, {port: DNSPort, datagram: true}}
	if n.IPv6 {
		list = append(list, way{port: TCPPort, six: true}, way{port: DNSPort, datagram: true, six: true})
	}
	return list
}

// way is one of them.
type way struct {
	port          int
	datagram, six bool
}

// Sockets are those that are to be opened in the namespace: one for each way, as
// many to try them with, and two that speak with the kernel.
func (n *Network) Sockets() (list []blueprint.Socket) {
	for range 2 {
		for _, w := range n.ways() {
			s := blueprint.Socket{Domain: unix.AF_INET, Type: unix.SOCK_STREAM | unix.SOCK_NONBLOCK}
			if w.six {
				s.Domain = unix.AF_INET6
			}
			if w.datagram {
				s.Type = unix.SOCK_DGRAM | unix.SOCK_NONBLOCK
			}
			list = append(list, s)
		}
	}
	for _, protocol := range []int{unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER} {
		list = append(list, blueprint.Socket{Domain: unix.AF_NETLINK, Type: unix.SOCK_RAW | unix.SOCK_NONBLOCK, Protocol: protocol})
	}
	return list
}

// SetUp makes the namespace of these sockets what this package says that it is.
// They obey whoever made the namespace, from outside as well. What is returned is
// for the gateway, and what came of trying: a difference is no way out, since the
// namespace has none.
func (n *Network) SetUp(sockets []*os.File) (serve []*os.File, found []nacre.Expectation, err error) {
	var fds []int
	for _, s := range sockets {
		fds = append(fds, int(s.Fd()))
		if err := unix.SetNonblock(int(s.Fd()), true); err != nil {
			return nil, nil, err
		}
	}
	ways := n.ways()
	probes, kernel := fds[len(ways):], map[int]int{unix.NETLINK_ROUTE: fds[2*len(ways)], unix.NETLINK_NETFILTER: fds[2*len(ways)+1]}
	for i, w := range ways {
		if err := w.listen(fds[i]); err != nil {
			return nil, nil, fmt.Errorf("port %d: %w", w.port, err)
		}
	}
	for _, t := range n.Talks {
		if err := t.hold(kernel[t.Protocol]); err != nil {
			return nil, nil, err
		}
	}
	for i, w := range ways { // before there are reports: what is tried here is none of theirs
		found = append(found, w.try(probes[i], fds[i]))
	}
	if err := n.Reports.hold(kernel[n.Reports.Protocol]); err != nil {
		return nil, nil, err
	}
	return append(sockets[:len(ways):len(ways)], sockets[2*len(ways)+1]), found, nil
}

// addresses are the loopback one and one that is nobody's (of the ranges for
// documentation, port 9).
func (w way) addresses() (loopback, nowhere unix.Sockaddr) {
	if w.six {
		return &unix.SockaddrInet6{Port: w.port, Addr: [16]byte{15: 1}}, &unix.SockaddrInet6{Port: 9, Addr: [16]byte{0x20, 1, 0x0d, 0xb8, 15: 1}}
	}
	return &unix.SockaddrInet4{Port: w.port, Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, 2, 1}}
}

func (w way) listen(fd int) error {
	loopback, _ := w.addresses()
	if err := unix.Bind(fd, loopback); err != nil || w.datagram {
		return err
	}
	return unix.Listen(fd, unix.SOMAXCONN)
}

// try sends to nowhere: TCP must arrive, and what is no question for a name be
// refused.
func (w way) try(probe, socket int) nacre.Expectation {
	e := nacre.Expectation{Layer: "network", Item: "TCP to anywhere", Expected: "captured"}
	does := func() (bool, error) { return w.arrives(probe, socket) }
	if w.datagram {
		e.Item, e.Expected = "UDP to anywhere", "refused"
		does = func() (bool, error) { return w.refused(probe) }
	}
	if w.six {
		e.Item += ", IPv6"
	}
	ok, err := does()
	if e.OK, e.Found = ok, e.Expected; !ok {
		e.Found = "not " + e.Expected
	}
	if err != nil {
		e.Found = err.Error()
	}
	return e
}

func (w way) arrives(probe, socket int) (bool, error) {
	_, nowhere := w.addresses()
	err := unix.Connect(probe, nowhere)
	if err == unix.EINPROGRESS {
		ready(probe, unix.POLLOUT)
		n, e := unix.GetsockoptInt(probe, unix.SOL_SOCKET, unix.SO_ERROR)
		if err = e; err == nil && n != 0 {
			err = unix.Errno(n)
		}
	}
	if err != nil {
		return false, err
	}
	ready(socket, unix.POLLIN)
	arrived, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
	if err != nil {
		return false, err
	}
	return true, unix.Close(arrived)
}

func (w way) refused(probe int) (bool, error) {
	_, nowhere := w.addresses()
	err := unix.Connect(probe, nowhere)
	if err == nil {
		_, err = unix.Write(probe, []byte{0})
	}
	if err == unix.EPERM {
		return true, nil
	}
	return false, err
}

// ready waits until a socket is, or has had its time: what is done with it then
// says so. On a busy machine the network's answers take a moment.
func ready(fd int, event int16) {
	p := []unix.PollFd{{Fd: int32(fd), Events: event}}
	for err := error(unix.EINTR); errors.Is(err, unix.EINTR); {
		_, err = unix.Poll(p, 5000)
	}
}

// Unheard is a talk with the kernel that it did not agree to.
type Unheard struct {
	Protocol int
	Err      error
}

func (u *Unheard) Error() string {
	return fmt.Sprintf("the sandbox's network cannot be set up: netlink %d: %v", u.Protocol, u.Err)
}

// Unwrap is what the kernel said.
func (u *Unheard) Unwrap() error { return u.Err }

// hold sends the messages and hears that each was obeyed: those that it is to say so of
// are numbered from 1.
func (t Talk) hold(fd int) error {
	err := unix.Sendto(fd, t.Messages, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for acks := 0; err == nil && acks < t.Acks; {
		acks, err = acknowledgements(fd, acks)
	}
	if err != nil {
		return fault.Wrap(fault.Unsupported, &Unheard{t.Protocol, err}, "the sandbox cannot be built").
			WithHint("nacre doctor says what this machine lacks")
	}
	return nil
}

// acknowledgements hears more of them, each in its turn.
func acknowledgements(fd, acks int) (int, error) {
	ready(fd, unix.POLLIN)
	answer := make([]byte, 64<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return acks, err
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:n])
	for _, m := range messages {
		if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
			continue
		}
		if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 { // minus the error, or 0
			return acks, syscall.Errno(-code)
		}
		if acks++; m.Header.Seq != uint32(acks) {
			return acks, unix.EBADMSG
		}
	}
	return acks, err
}
