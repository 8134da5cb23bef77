// Package wire carries the values of package api over a control socket: as
// JSON packets, size-limited and strictly read, with descriptors beside them.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// maxPacket bounds one packet, in bytes.
const maxPacket = 512 << 10

// maxFDs bounds the descriptors beside one packet.
const maxFDs = 3

// Send writes a value and descriptors as one packet.
func Send(c *net.UnixConn, v any, fds ...int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxPacket {
		return fmt.Errorf("packet of %d bytes is over %d", len(b), maxPacket)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	if err := c.SetWriteBuffer(2 * maxPacket); err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(b, oob, nil)
	return err
}

// Receive reads one packet strictly: unknown keys, a packet over the limit and
// a closed connection are errors.
func Receive(c *net.UnixConn, v any) (fds []int, err error) {
	b, oob := make([]byte, maxPacket+1), make([]byte, syscall.CmsgSpace(4*maxFDs))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, err
	}
	messages, _ := syscall.ParseSocketControlMessage(oob[:oobn])
	for i := range messages {
		got, _ := syscall.ParseUnixRights(&messages[i])
		fds = append(fds, got...)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	if n == 0 || n > maxPacket || len(fds) > maxFDs || flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 {
		Close(fds)
		return nil, errors.New("the other end is gone, or its packet is over the limit")
	}
	d := json.NewDecoder(bytes.NewReader(b[:n]))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		Close(fds)
		return nil, err
	}
	return fds, nil
}

// Close closes descriptors.
func Close(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}
