package capture

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAcknowledged: each message is acknowledged by its number and in its turn, or the
// conversation has failed; so has one of which anything was refused.
func TestAcknowledged(t *testing.T) {
	const acknowledge, silent, nothing, refused = unix.NLM_F_REQUEST | unix.NLM_F_ACK, unix.NLM_F_REQUEST, unix.NLMSG_NOOP, 0xfff0
	type message struct{ kind, flags, number int }
	for name, c := range map[string]struct {
		said []message
		want error
	}{
		"all":              {[]message{{nothing, acknowledge, 1}, {nothing, acknowledge, 2}}, nil},
		"one without":      {[]message{{nothing, silent, 0}, {nothing, acknowledge, 1}, {nothing, acknowledge, 2}}, nil},
		"one twice":        {[]message{{nothing, acknowledge, 1}, {nothing, acknowledge, 1}}, unix.EBADMSG},
		"another's":        {[]message{{nothing, acknowledge, 1}, {nothing, acknowledge, 3}}, unix.EBADMSG},
		"the wrong way":    {[]message{{nothing, acknowledge, 2}, {nothing, acknowledge, 1}}, unix.EBADMSG},
		"refused":          {[]message{{nothing, acknowledge, 1}, {refused, acknowledge, 2}}, unix.EOPNOTSUPP},
		"refused, unasked": {[]message{{nothing, acknowledge, 1}, {refused, silent, 0}}, unix.EOPNOTSUPP},
	} {
		l := Talk{Protocol: unix.NETLINK_ROUTE, Acks: 2}
		for _, m := range c.said {
			b := binary.NativeEndian.AppendUint32(nil, unix.SizeofNlMsghdr+4)
			b = binary.NativeEndian.AppendUint16(b, uint16(m.kind))
			b = binary.NativeEndian.AppendUint16(b, uint16(m.flags))
			b = binary.NativeEndian.AppendUint32(b, uint32(m.number))
			l.Messages = append(l.Messages, append(b, make([]byte, 8)...)...)
		}
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, l.Protocol)
		if err != nil {
			t.Fatal(err)
		}
		err = l.hold(fd)
		unix.Close(fd)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", name, err, c.want)
		}
	}
}
