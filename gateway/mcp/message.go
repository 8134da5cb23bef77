// Package mcp reads what programs and tool servers say to each other in the Model
// Context Protocol, strictly: so that nobody downstream reads something else than
// what was decided upon. What goes on is written anew.
package mcp

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"nacre/pattern"
	"nacre/strictjson"
)

// MaxRequest and MaxReply bound one message, in bytes.
const (
	MaxRequest = 1 << 20
	MaxReply   = 4 << 20
)

// The methods that a program may use. Whatever else there is, is denied.
const (
	Initialize  = "initialize"
	Initialized = "notifications/initialized"
	Cancelled   = "notifications/cancelled"
	Ping        = "ping"
	List        = "tools/list"
	CallTool    = "tools/call"
)

// versions are those of the protocol whose meaning is known here, newest first.
var versions = []string{"2025-11-25", "2025-06-18", "2025-03-26"}

// Known tells whether a version of the protocol is.
func Known(version string) bool { return slices.Contains(versions, version) }

// The codes of errors that are answered with (JSON-RPC 2.0, 5.1; the last is ours).
const (
	CodeParse   = -32700
	CodeInvalid = -32600
	CodeMethod  = -32601
	CodeDenied  = -32001
)

// Request is what a program asks a server.
type Request struct {
	ID     any // nil: a notification
	Method string
	Params map[string]any // nil: there are none
	Tool   string         // of a call
}

// envelope reads the outermost object: known keys only.
func envelope(b []byte, folded bool, keys ...string) (map[string]any, error) {
	v, err := strictjson.Parse(b, folded)
	if err != nil {
		return nil, err
	}
	if _, batch := v.([]any); batch {
		return nil, errors.New("several messages in one are not taken")
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the message is not a JSON object")
	}
	for name := range fields {
		if !slices.Contains(keys, name) {
			return nil, fmt.Errorf("the key %.40q belongs to no such message", name)
		}
	}
	if fields["jsonrpc"] != "2.0" {
		return nil, errors.New(`the message does not say "jsonrpc": "2.0"`)
	}
	return fields, nil
}

var integer = pattern.Of(`^(0|-?[1-9][0-9]{0,15})$`)

// identity is a message's id; nil where it has none. An error is no id of one.
func identity(fields map[string]any) (any, error) {
	id, there := fields["id"]
	switch v := id.(type) {
	case string:
		if len(v) <= 256 {
			return v, nil
		}
	case json.Number:
		if integer().MatchString(string(v)) {
			return v, nil
		}
	}
	if there {
		return nil, errors.New("the id is not a text or a whole number")
	}
	return nil, nil
}

// ReadRequest reads what a program says. Whether it may, is not decided here.
// Where only the id could be read, the request has that.
func ReadRequest(b []byte) (Request, error) {
	fields, err := envelope(b, true, "jsonrpc", "id", "method", "params")
	if err != nil {
		return Request{}, err
	}
	r := Request{}
	if r.ID, err = identity(fields); err != nil {
		return r, err
	}
	var ok bool
	if r.Method, ok = fields["method"].(string); !ok || r.Method == "" || len(r.Method) > 128 {
		return r, errors.New("the message names no method")
	}
	if params, there := fields["params"]; there {
		if r.Params, ok = params.(map[string]any); !ok {
			return r, errors.New("params is not an object")
		}
	}
	if r.Method == CallTool {
		if r.Tool, ok = r.Params["name"].(string); !ok {
			return r, errors.New("the call names no tool")
		}
		if arguments, there := r.Params["arguments"]; there {
			if _, ok = arguments.(map[string]any); !ok {
				return r, errors.New("the arguments are not an object")
			}
		}
	}
	return r, nil
}

// Arguments are those of a call.
func (r Request) Arguments() map[string]any {
	arguments, _ := r.Params["arguments"].(map[string]any)
	return arguments
}

// sent are the fields of params that are sent on. What a server does not know it cannot take
// for something else.
var sent = map[string][]string{
	Initialize:  {"protocolVersion", "clientInfo"},
	Initialized: {},
	Cancelled:   {"requestId", "reason"},
	Ping:        {"_meta"},
	List:        {"cursor", "_meta"},
	CallTool:    {"name", "arguments", "_meta"},
}

// Allowed tells whether a method is one that programs may use at all, in its
// right form.
func (r Request) Allowed() bool {
	_, ok := sent[r.Method]
	return ok && (r.ID == nil) == (r.Method == Initialized || r.Method == Cancelled)
}

// Written is the request as it is sent on. A program has no abilities that a
// server could ask for, and speaks a version that is known here.
func (r Request) Written() ([]byte, error) {
	message := map[string]any{"jsonrpc": "2.0", "method": r.Method}
	if r.ID != nil {
		message["id"] = r.ID
	}
	params := only(r.Params, sent[r.Method]...)
	if meta, ok := params["_meta"].(map[string]any); ok { // in which it could say that it has abilities
		params["_meta"] = only(meta, "progressToken")
	}
	if r.Method == Initialize {
		params["capabilities"] = map[string]any{}
		if version, _ := params["protocolVersion"].(string); !Known(version) {
			params["protocolVersion"] = versions[0]
		}
	}
	if len(params) > 0 {
		message["params"] = params
	}
	return strictjson.Write(message)
}

// Token is what a program will know the progress of its request by; nil: it wants to
// hear of none.
func (r Request) Token() any {
	meta, _ := r.Params["_meta"].(map[string]any)
	return meta["progressToken"]
}

// As is the request under another id, by which its progress is told too.
func (r Request) As(id json.Number) Request {
	r.ID = id
	if r.Token() != nil {
		r.Params = maps.Clone(r.Params)
		r.Params["_meta"] = map[string]any{"progressToken": id}
	}
	return r
}

// Cancels is the id of the request that a notification takes back.
func (r Request) Cancels() any { return r.Params["requestId"] }

// Opening is what begins a conversation, by the name of whoever speaks.
func Opening(name string) Request {
	return Request{Method: Initialize, Params: map[string]any{"protocolVersion": versions[0], "clientInfo": map[string]any{"name": name, "version": "1"}}}
}

// Cancel takes a request back.
func Cancel(id json.Number) Request {
	return Request{Method: Cancelled, Params: map[string]any{"requestId": id}}
}

func only(fields map[string]any, names ...string) map[string]any {
	some := map[string]any{}
	for _, name := range names {
		if v, there := fields[name]; there {
			some[name] = v
		}
	}
	return some
}

// Digest is the SHA-256 of a value.
func Digest(v any) string {
	b, err := strictjson.Write(v)
	if err != nil {
		return "" // equal to no digest
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b))
}

// Refusal is the answer to a request that is not let through.
func Refusal(id any, code int, why string) []byte {
	b, err := strictjson.Write(map[string]any{"jsonrpc": "2.0", "id": id, "error": map[string]any{"code": code, "message": why}})
	if err != nil {
		return []byte("{}")
	}
	return b
}
