package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"syscall"
)

// maxMessage bounds a packet, in bytes.
const maxMessage = 64 << 10

// maxFDs is how many descriptors a message can carry.
const maxFDs = 8

// Conn is one end of the conversation. Send may be called by several at once, Receive
// by one.
type Conn struct {
	socket    *net.UnixConn
	room, oob []byte // what is received
}

// NewConn takes over a socket.
func NewConn(f *os.File) (*Conn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a Unix socket")
	}
	return &Conn{u, make([]byte, maxMessage+1), make([]byte, syscall.CmsgSpace(4*maxFDs))}, nil
}

// Close ends the conversation.
func (c *Conn) Close() error { return c.socket.Close() }

// Send writes a message with descriptors.
func (c *Conn) Send(m Message, files ...*os.File) error {
	b, err := m.text()
	if err != nil {
		return err
	}
	defer clear(b)
	if len(b) > maxMessage {
		return fmt.Errorf("message of %d bytes is over %d", len(b), maxMessage)
	}
	var rights []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		rights = syscall.UnixRights(fds...)
	}
	_, _, err = c.socket.WriteMsgUnix(b, rights, nil)
	return err
}

// Receive reads a message. The other side may be hostile: sizes and keys are
// bounded and checked.
func (c *Conn) Receive() (Message, []*os.File, error) {
	n, oobn, flags, _, err := c.socket.ReadMsgUnix(c.room, c.oob)
	if err != nil {
		return Message{}, nil, err
	}
	defer clear(c.room[:n])
	files := received(c.oob[:oobn])
	m, err := parse(c.room[:n], flags)
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return Message{}, nil, err
	}
	return m, files, nil
}

// text is {"NAME":BODY}, with the one field that is set: nothing is looked at of what
// the other kinds of messages are made of, which most gateways never say.
func (m Message) text() ([]byte, error) {
	all := reflect.ValueOf(m)
	for i := range all.NumField() {
		if field := all.Field(i); !field.IsZero() {
			body, err := json.Marshal(field.Interface())
			defer clear(body)
			return fmt.Appendf(nil, "{%q:%s}", all.Type().Field(i).Name, body), err
		}
	}
	return nil, errors.New("a message that says nothing")
}

// parse reads what text writes, and nothing else.
func parse(b []byte, flags int) (m Message, err error) {
	switch {
	case len(b) == 0:
		return m, errors.New("the other end is gone")
	case flags&(syscall.MSG_TRUNC|syscall.MSG_CTRUNC) != 0 || len(b) > maxMessage:
		return m, errors.New("message is over its limit")
	}
	name, body, _ := bytes.Cut(b, []byte(`":`))
	name, begins := bytes.CutPrefix(name, []byte(`{"`))
	body, ends := bytes.CutSuffix(body, []byte("}"))
	field := reflect.ValueOf(&m).Elem().FieldByName(string(name))
	if !begins || !ends || !field.IsValid() {
		return m, errStrange
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err = d.Decode(field.Addr().Interface()); err != nil {
		return m, err
	}
	if _, err = d.Token(); err != io.EOF || field.IsZero() {
		return m, errStrange
	}
	return m, nil
}

var errStrange = errors.New("not a message of ours")

func received(oob []byte) (files []*os.File) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			_ = syscall.SetNonblock(fd, true) // where it fails, whoever reads it finds out
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files
}
