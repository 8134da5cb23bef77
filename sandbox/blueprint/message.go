package blueprint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// MaxMessage bounds one message, in bytes: a command line of the kernel's
// largest argument list fits no packet, so Nacre's limit is this one.
const MaxMessage = 128 << 10

// Kind is what a message says.
type Kind string

// From init to the supervisor.
const (
	Failed   Kind = "failed"   // set-up failed: Layer and Error; init ends
	Opened   Kind = "opened"   // carries Spec.Sockets
	Terminal Kind = "terminal" // carries the master of the sandbox's terminal
	Listener Kind = "listener" // carries what the filter reports denials on, or Error: why there is none; Filter, Keyring
	Confined Kind = "confined" // every layer is on: Facts
	Started  Kind = "started"  // job runs: Number is its process
	Refused  Kind = "refused"  // job could not be started: Number is the kernel's, 0 if Error is all
	Ended    Kind = "ended"    // job ended: Number is its wait status
)

// From the supervisor to init.
const (
	Run    Kind = "run"    // start a job; carries its stdin, stdout, stderr
	Signal Kind = "signal" // send Number to job
)

// Message is one packet on the control socket.
type Message struct {
	Kind    Kind
	Job     int          `json:",omitempty"` // 0 is the plan's command
	Layer   string       `json:",omitempty"`
	Error   string       `json:",omitempty"`
	Number  int          `json:",omitempty"` // what it is, the kind says
	TTY     bool         `json:",omitempty"`
	Size    unix.Winsize `json:",omitzero"` // of the terminal
	Command []string     `json:",omitempty"`
	Places  []string     `json:",omitempty"` // where to look for a command whose name is no path
	Env     []string     `json:",omitempty"`
	Workdir string       `json:",omitempty"`
	Filter  []byte       `json:",omitempty"` // as it was loaded
	Keyring int          `json:",omitempty"` // of the session
	// Facts are what init found out by asking or trying.
	Facts map[string]string `json:",omitempty"`
}

// ErrClosed is returned by Receive once the peer is gone.
var ErrClosed = errors.New("the other end is gone")

// Send writes one message with descriptors.
func Send(fd int, m Message, fds ...int) error {
	b, err := json.Marshal(m.carried(Pack))
	if err != nil {
		return err
	}
	if len(b) > MaxMessage {
		return fmt.Errorf("message of %d bytes is over %d", len(b), MaxMessage)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Sendmsg(fd, b, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
	}
	return err
}

// maxFDs is how many descriptors a message can carry.
const maxFDs = 16

// Receive reads one message. The peer may be hostile: size, descriptors and
// keys are bounded and checked, and descriptors arrive close-on-exec.
func Receive(fd int) (Message, []int, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFDs))
	var b []byte
	var n, oobn, flags int
	err := error(unix.EINTR)
	for err == unix.EINTR {
		// Its size first: memory for the largest takes longer to get than to look.
		if n, _, err = unix.Recvfrom(fd, nil, unix.MSG_PEEK|unix.MSG_TRUNC); err == nil {
			b = make([]byte, min(n, MaxMessage)+1)
			n, oobn, flags, _, err = unix.Recvmsg(fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		}
	}
	if err == unix.ECONNRESET { // it ended with something unread
		err = ErrClosed
	}
	if err != nil {
		return Message{}, nil, err
	}
	fds := rights(oob[:oobn])
	m, err := parse(b[:n], flags)
	if err != nil {
		CloseAll(fds)
		return Message{}, nil, err
	}
	return m, fds, nil
}

func parse(b []byte, flags int) (Message, error) {
	var m Message
	switch {
	case len(b) == 0:
		return m, ErrClosed
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || len(b) > MaxMessage:
		return m, errors.New("message is over its limit")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(&m)
	return m.carried(Unpack), err
}

// carried is the message with what a job is given in other letters.
func (m Message) carried(as func(string) string) Message {
	m.Workdir = as(m.Workdir)
	for _, list := range []*[]string{&m.Command, &m.Places, &m.Env} {
		*list = slices.Clone(*list)
		for i, text := range *list {
			(*list)[i] = as(text)
		}
	}
	return m
}

// rights are the descriptors that came along; of other things none.
func rights(oob []byte) (fds []int) {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		got, _ := unix.ParseUnixRights(&messages[i])
		fds = append(fds, got...)
	}
	return fds
}

// CloseAll closes descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
