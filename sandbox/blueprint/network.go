package blueprint

// Network is what init sets up in the sandbox's own network namespace, so that
// whatever is sent there arrives at the gateway. The messages are data, made by
// the supervisor: they can reach nothing but that namespace, which has no other
// interface than its loopback.
type Network struct {
	Netlink []Netlink
	Sockets []Socket
}

// Netlink is a conversation with one part of the kernel: messages to send, each
// of which is to be acknowledged.
type Netlink struct {
	Protocol int
	Messages []byte
	Acks     int
	Keep     bool // the socket is passed out: it goes on receiving
}

// Socket is one that init opens and passes out, bound to the loopback address.
type Socket struct {
	IPv6     bool
	Datagram bool
	Port     int
}

// FDs is how many descriptors are passed out.
func (n *Network) FDs() int {
	if n == nil {
		return 0
	}
	count := len(n.Sockets)
	for _, l := range n.Netlink {
		if l.Keep {
			count++
		}
	}
	return count
}

// Promise is what is to be found where something is sent to anywhere by such a
// socket.
func (s Socket) Promise() (item, expected string) {
	item, expected = "TCP to anywhere", "captured"
	if s.Datagram {
		item, expected = "UDP to anywhere", "refused"
	}
	if s.IPv6 {
		item += ", IPv6"
	}
	return item, expected
}
