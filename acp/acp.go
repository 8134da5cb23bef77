// Package acp stands between an editor and an agent in a sandbox that speak the
// Agent Client Protocol: JSON-RPC, one message a line. The editor is the owner's and
// has the owner's files and programs; the agent is not to get them by asking. What it
// may say is a list; what goes on is written anew.
//
//   - It is told that the editor reads and writes no files for it and has no
//     terminals, and what it asks of that kind all the same is answered with an error:
//     an editor follows links out of a granted folder, and runs programs outside.
//   - Servers that the editor would have it start are left out: they are programs of
//     the owner's side, often with keys.
//   - Folders are those that were granted, at the same path on both sides.
//   - Extensions (_meta, methods that begin with _) do not reach the editor: some are
//     commands for it to run.
package acp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"nacre/fault"
	"nacre/gateway/mcp"
	"nacre/pattern"
	"nacre/strictjson"
)

// MaxLine bounds one message.
const MaxLine = 8 << 20

// maxPending bounds the requests that wait for an answer, in each direction.
const maxPending = 1024

// Bridge is one conversation. Its fields are set before it begins.
type Bridge struct {
	Editor  io.Writer         // what the editor reads
	Agent   io.Writer         // what the agent reads
	Folders []string          // that were granted, at the same path on both sides
	Told    func(what string) // what was not let through, for the owner

	editor, agent sync.Mutex // one message at a time to each

	mu     sync.Mutex
	asked  map[string]string // the editor's requests, by their ids: the methods
	wanted map[string]string // the agent's
	told   map[string]bool
}

// FromEditor passes on what the editor says, to its end.
func (b *Bridge) FromEditor(r io.Reader) error {
	return each(r, func(line []byte) error {
		m, err := parse(line)
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the editor's message")
		}
		return b.heard(m)
	})
}

// FromAgent passes on what the agent may say, to its end.
func (b *Bridge) FromAgent(r io.Reader) error {
	return each(r, func(line []byte) error {
		m, err := parse(line)
		if err != nil {
			b.tell("a line of the agent's is no message: " + err.Error())
			return nil
		}
		return b.said(m)
	})
}

// each reads lines of bounded length.
func each(r io.Reader, do func([]byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), MaxLine)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := do(lines.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fault.New(fault.Exhausted, "a message of over %d MiB", MaxLine>>20)
	}
	return lines.Err()
}

// message is one of JSON-RPC's.
type message struct {
	id     any // nil: a notification
	method string
	params map[string]any
	fields map[string]any
}

func (m message) reply() bool { return m.method == "" }

// key is an id as it is compared: 1 and "1" are two.
func (m message) key() string { return fmt.Sprintf("%T %v", m.id, m.id) }

var integer = pattern.Of(`^(0|-?[1-9][0-9]{0,15})$`)

// parse reads a message strictly.
func parse(line []byte) (m message, err error) {
	v, err := strictjson.Parse(line, true)
	if err != nil {
		return m, err
	}
	fields, ok := v.(map[string]any)
	if !ok || fields["jsonrpc"] != "2.0" {
		return m, errors.New("it is not one JSON-RPC message")
	}
	m.fields = fields
	switch id := fields["id"].(type) {
	case nil:
	case string:
		if len(id) > 256 {
			return m, errors.New("its id is too long")
		}
		m.id = id
	case json.Number:
		if !integer().MatchString(string(id)) {
			return m, errors.New("its id is no whole number")
		}
		m.id = id
	default:
		return m, errors.New("its id is neither a text nor a number")
	}
	method, there := fields["method"]
	m.method, _ = method.(string)
	_, result := fields["result"]
	_, failed := fields["error"]
	if there == (result || failed) || there && m.method == "" || !there && (m.id == nil || result == failed) {
		return m, errors.New("it is neither a reply, nor a notification, nor a request")
	}
	if params, there := fields["params"]; there && params != nil {
		if m.params, ok = params.(map[string]any); !ok {
			return m, errors.New("its params are no object")
		}
	}
	return m, nil
}

// written is a message anew, with no fields but JSON-RPC's.
func (m message) written() ([]byte, error) {
	fields := map[string]any{"jsonrpc": "2.0"}
	for _, name := range []string{"id", "method", "result", "error"} {
		if v, there := m.fields[name]; there {
			fields[name] = v
		}
	}
	if m.params != nil {
		fields["params"] = m.params
	}
	line, err := strictjson.Write(fields)
	return append(line, '\n'), err
}

// toEditor and toAgent write one message, whole: each is written to from both sides.
func (b *Bridge) toEditor(m message) error { return send(&b.editor, b.Editor, m) }
func (b *Bridge) toAgent(m message) error  { return send(&b.agent, b.Agent, m) }

func send(alone *sync.Mutex, to io.Writer, m message) error {
	line, err := m.written()
	if err != nil {
		return err
	}
	alone.Lock()
	defer alone.Unlock()
	_, err = to.Write(line)
	return err
}

// refusal answers a request in the place of the one that it was for.
func refusal(m message, why string) message {
	return message{fields: map[string]any{"id": m.id, "error": map[string]any{"code": mcp.CodeMethod, "message": "nacre: " + why}}}
}

// tell says something once.
func (b *Bridge) tell(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told == nil {
		b.told = map[string]bool{}
	}
	if b.Told != nil && !b.told[what] && len(b.told) < 100 {
		b.told[what] = true
		b.Told(what)
	}
}

// wait remembers a request until it is answered.
func (b *Bridge) wait(list *map[string]string, m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if *list == nil {
		*list = map[string]string{}
	}
	if _, twice := (*list)[m.key()]; twice || len(*list) >= maxPending {
		return false
	}
	(*list)[m.key()] = m.method
	return true
}

// answered is the method of the request that a reply is to; empty: of none.
func (b *Bridge) answered(list *map[string]string, m message) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	method := (*list)[m.key()]
	delete(*list, m.key())
	return method
}
