package blueprint

// Network is what init sets up in the sandbox's own network namespace, so that
// whatever is sent there arrives at the gateway. The messages are data, made by
// the supervisor: they can reach nothing but that namespace, which has no other
// interface than its loopback.
type Network struct {
	Netlink []Netlink
	Sockets []Socket
	Reports Netlink // the last, whose socket is passed out: it goes on receiving
}

// Netlink is a conversation with one part of the kernel: messages to send, each
// of which is to be acknowledged.
type Netlink struct {
	Protocol int
	Messages []byte
	Acks     int
}

// Socket is one that init opens and passes out, bound to the loopback address.
type Socket struct {
	IPv6     bool
	Datagram bool
	Port     int
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
