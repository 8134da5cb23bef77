// Package api is what travels over a running sandbox's control socket: one
// request and its replies, as JSON packets, size-limited, with descriptors
// beside them where a request says so.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"nacre"
	"nacre/fault"
)

// Op is what is asked for.
type Op string

// The requests.
const (
	Exec    Op = "exec"    // run Command; carries stdin, stdout, stderr
	Signal  Op = "signal"  // send Number to the command
	Stop    Op = "stop"    // ask, then kill after Grace
	Usage   Op = "usage"   // what it uses now
	Posture Op = "posture" // what holds now
	Plan    Op = "plan"    // the plan that it was made from
)

// Request is one request; a connection carries one.
type Request struct {
	Op      Op            `json:"op"`
	Command []string      `json:"command,omitempty"`
	TTY     bool          `json:"tty,omitempty"`
	Size    nacre.Window  `json:"size"`
	Number  int           `json:"number,omitempty"`
	Grace   time.Duration `json:"grace,omitempty"`
}

// Reply is one answer. With Terminal set it carries the master of the new
// job's terminal, and another reply follows at its end.
type Reply struct {
	Error    *Problem            `json:"error,omitempty"`
	Terminal bool                `json:"terminal,omitempty"`
	Exit     *nacre.Exit         `json:"exit,omitempty"`
	Usage    *nacre.Usage        `json:"usage,omitempty"`
	Posture  []nacre.Expectation `json:"posture,omitempty"`
	Plan     *nacre.Plan         `json:"plan,omitempty"`
}

// Problem is a fault on the wire.
type Problem struct {
	Kind fault.Kind `json:"kind"`
	What string     `json:"what"`
	Hint string     `json:"hint,omitempty"`
}

// ProblemOf renders an error for the wire.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	return &Problem{Kind: fault.KindOf(err), What: err.Error(), Hint: fault.HintOf(err)}
}

// Err is the problem as an error again; nil for nil.
func (p *Problem) Err() error {
	if p == nil {
		return nil
	}
	return &fault.Fault{Kind: p.Kind, What: p.What, Hint: p.Hint}
}

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
	if n == 0 || n > maxPacket || flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 {
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
