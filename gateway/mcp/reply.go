package mcp

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"nacre/strictjson"
)

// Answer is what a server says: the reply to a request, a notification, or a
// request of its own.
type Answer struct {
	ID     any
	Method string // of a notification or a request
	Result map[string]any
	Error  map[string]any
	params map[string]any
}

// ReadAnswer reads what a server says.
func ReadAnswer(b []byte) (Answer, error) {
	fields, err := envelope(b, false, "jsonrpc", "id", "method", "params", "result", "error")
	if err != nil {
		return Answer{}, err
	}
	a := Answer{}
	if a.ID, err = identity(fields); err != nil && fields["id"] != nil {
		return a, err
	}
	parts := 0
	for name, into := range map[string]*map[string]any{"result": &a.Result, "error": &a.Error, "params": &a.params} {
		v, there := fields[name]
		if !there {
			continue
		}
		var ok bool
		if *into, ok = v.(map[string]any); !ok {
			return a, fmt.Errorf("%s is not an object", name)
		}
		if name != "params" {
			parts++
		}
	}
	method, there := fields["method"]
	a.Method, _ = method.(string)
	if there {
		parts++
	}
	if parts != 1 || there && a.Method == "" || !there && a.params != nil {
		return a, errors.New("the message is neither a reply, nor a notification, nor a request")
	}
	return a, nil
}

// Reply tells whether it is one to a request.
func (a Answer) Reply() bool { return a.Method == "" }

// heard are the notifications of a server that are passed on, with what of them.
var heard = map[string][]string{
	"notifications/progress":           {"progressToken", "progress", "total", "message"},
	"notifications/message":            {"level", "logger", "data"},
	"notifications/tools/list_changed": {},
	Cancelled:                          {"requestId", "reason"},
}

// Heard tells whether it is a notification that is passed on.
func (a Answer) Heard() bool {
	_, ok := heard[a.Method]
	return ok && a.ID == nil
}

// Token is what a notification of progress says that it is about.
func (a Answer) Token() any { return a.params["progressToken"] }

// About is a notification of progress for whoever has given this token.
func (a Answer) About(token any) Answer {
	a.params = maps.Clone(a.params)
	a.params["progressToken"] = token
	return a
}

// For is what a server has said at the beginning, as the reply to a program: in the
// older of the versions that both speak, as they are named by their day.
func (a Answer) For(asked Request) Answer {
	a.ID = asked.ID
	server, _ := a.Result["protocolVersion"].(string)
	if theirs, _ := asked.Params["protocolVersion"].(string); Known(theirs) && theirs < server {
		a.Result = maps.Clone(a.Result)
		a.Result["protocolVersion"] = theirs
	}
	return a
}

// Definition is what a server says of one tool.
type Definition struct {
	Name   string
	Digest string // of all but what may differ from one time to the next
	Unseen string // the first character in it that nobody sees; empty: none
	fields map[string]any
}

// Definitions are the tools of a reply to List.
func (a Answer) Definitions() ([]Definition, error) {
	list, ok := a.Result["tools"].([]any)
	if !ok {
		return nil, errors.New("the list of tools is none")
	}
	var all []Definition
	for _, item := range list {
		fields, _ := item.(map[string]any)
		name, _ := fields["name"].(string)
		if name == "" {
			return nil, errors.New("a tool without a name")
		}
		fields = only(fields, "name", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "execution")
		all = append(all, Definition{name, Digest(fields), Unseen(fields), fields})
	}
	return all, nil
}

// results are the fields of a result that are passed on.
var results = map[string][]string{
	Initialize: {"protocolVersion", "serverInfo", "instructions"},
	Ping:       {},
	List:       {"nextCursor"},
	CallTool:   {"content", "structuredContent", "isError", "_meta"},
}

// Written is a reply to a request of the method as it is passed on, with these
// tools where that was List.
func (a Answer) Written(method string, tools []Definition) ([]byte, error) {
	message := map[string]any{"jsonrpc": "2.0", "id": a.ID}
	if a.Error != nil {
		message["error"] = only(a.Error, "code", "message", "data")
		return strictjson.Write(message)
	}
	if a.Result == nil {
		return nil, errors.New("the reply has no result")
	}
	known, ok := results[method]
	if !ok {
		return nil, errors.New("a reply to nothing that is known")
	}
	result := only(a.Result, known...)
	switch method {
	case Initialize:
		if version, _ := a.Result["protocolVersion"].(string); !Known(version) {
			return nil, fmt.Errorf("the server speaks version %.40q of the protocol, which is not known here", version)
		}
		if c := Unseen(result); c != "" {
			return nil, fmt.Errorf("the server begins with %s, which nobody sees", c)
		}
		result["capabilities"] = map[string]any{"tools": map[string]any{"listChanged": true}}
	case List:
		list := []any{}
		for _, d := range tools {
			list = append(list, d.fields)
		}
		result["tools"] = list
	case CallTool:
		if _, asks := a.Result["inputRequests"]; asks || !slices.Contains([]any{nil, "complete"}, a.Result["resultType"]) {
			return nil, errors.New("the server asks for something in place of a result")
		}
	}
	message["result"] = result
	return strictjson.Write(message)
}

// Notice is a notification as it is passed on.
func (a Answer) Notice() ([]byte, error) {
	message := map[string]any{"jsonrpc": "2.0", "method": a.Method}
	if params := only(a.params, heard[a.Method]...); len(params) > 0 {
		message["params"] = params
	}
	return strictjson.Write(message)
}

// Pong answers a server's ping.
func Pong(id any) ([]byte, error) {
	return strictjson.Write(map[string]any{"jsonrpc": "2.0", "id": id, "result": map[string]any{}})
}
