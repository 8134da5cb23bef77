// Package mcp gives the assistant the tools of MCP servers: those that the gateway
// names ($NACRE_TOOLS_…), and those of a configuration file, over HTTP or as
// programs, which then run in the same sandbox.
package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"nacre/assistant"
	"nacre/assistant/tool"
	"nacre/fault"
)

// Server is where a server is: a URL or a command.
type Server struct {
	URL     string            `json:"url"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

const (
	maxConfig = 1 << 20
	maxTools  = 128 // of one server
	patience  = 30 * time.Second
	slowest   = 10 * time.Minute
	maxName   = 64 // of a tool, for all providers
)

// prefix is what the gateway's variables for servers begin with.
const prefix = "NACRE_TOOLS_"

// FromEnvironment are the servers that the gateway serves.
func FromEnvironment(environ []string) map[string]Server {
	servers := map[string]Server{}
	for _, v := range environ {
		name, url, _ := strings.Cut(v, "=")
		if name, ok := strings.CutPrefix(name, prefix); ok && name != "" {
			servers[strings.ToLower(name)] = Server{URL: url}
		}
	}
	return servers
}

// FromFile are the servers of a file like .mcp.json: {"mcpServers": {NAME: {…}}}.
func FromFile(path string) (map[string]Server, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "the file with MCP servers")
	}
	defer f.Close()
	var v struct {
		Servers map[string]Server `json:"mcpServers"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxConfig)).Decode(&v); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s", path)
	}
	return v.Servers, nil
}

// Connect asks every server for its tools. A server that does not answer is left
// out and said. Call stop in the end.
func Connect(ctx context.Context, servers map[string]Server) (tools []assistant.Tool, stop func(), problems []error) {
	var sessions []*sdk.ClientSession
	stop = func() {
		for _, s := range sessions {
			_ = s.Close()
		}
	}
	for _, name := range sorted(servers) {
		s, list, err := connect(ctx, name, servers[name])
		if err != nil {
			problems = append(problems, fmt.Errorf("the MCP server %s: %w", name, err))
			continue
		}
		sessions, tools = append(sessions, s), append(tools, list...)
	}
	return tools, stop, problems
}

func sorted(servers map[string]Server) (names []string) {
	for name := range servers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func connect(ctx context.Context, name string, s Server) (*sdk.ClientSession, []assistant.Tool, error) {
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var way sdk.Transport
	switch {
	case s.URL != "":
		way = &sdk.StreamableClientTransport{Endpoint: s.URL, DisableStandaloneSSE: true}
	case s.Command != "":
		cmd := exec.Command(s.Command, s.Args...)
		cmd.Env = os.Environ()
		for k, v := range s.Env {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		way = &sdk.CommandTransport{Command: cmd}
	default:
		return nil, nil, errors.New("it has neither url nor command")
	}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "nacre-assistant", Version: "1"}, nil).Connect(soon, way, nil)
	if err != nil {
		return nil, nil, err
	}
	var list []assistant.Tool
	for t, err := range session.Tools(soon, nil) {
		if err != nil || len(list) == maxTools {
			return nil, nil, errors.Join(err, session.Close(), errors.New("its tools cannot be listed, or are too many"))
		}
		one, err := adopt(session, name, t)
		if err != nil {
			return nil, nil, errors.Join(err, session.Close())
		}
		list = append(list, one)
	}
	return session, list, nil
}

// remote is a tool of a server's.
type remote struct {
	session  *sdk.ClientSession
	name     string // as the server has it
	declared assistant.Declared
}

func adopt(session *sdk.ClientSession, server string, t *sdk.Tool) (remote, error) {
	schema, err := json.Marshal(t.InputSchema)
	if err != nil {
		return remote{}, err
	}
	about := tool.Bounded(t.Description)
	return remote{session, t.Name, assistant.Declared{Name: called(server, t.Name), About: about[:min(len(about), 4096)], Schema: schema}}, nil
}

// called is the name of a tool for the model, of letters that every provider takes.
func called(server, name string) string {
	full := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, "mcp__"+server+"__"+name)
	return full[:min(len(full), maxName)]
}

// Declare is the tool as a model sees it.
func (r remote) Declare() assistant.Declared { return r.declared }

// Run has the server do it.
func (r remote) Run(ctx context.Context, args json.RawMessage) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, slowest)
	defer cancel()
	result, err := r.session.CallTool(ctx, &sdk.CallToolParams{Name: r.name, Arguments: args})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range result.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			b.WriteString(text.Text + "\n")
		} else {
			fmt.Fprintf(&b, "(%T, not shown)\n", c)
		}
	}
	if b.Len() == 0 && result.StructuredContent != nil {
		v, _ := json.Marshal(result.StructuredContent) // it was JSON
		b.Write(v)
	}
	text := tool.Bounded(b.String())
	if result.IsError {
		return text, errors.New("the tool failed")
	}
	return text, nil
}
