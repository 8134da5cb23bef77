package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"nacre/assistant"
	"nacre/fault"
)

// server has a tool that answers, one that fails, and one that says too much.
func server() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	type arguments struct {
		Text string `json:"text"`
	}
	say := func(text string, failed bool) (*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}, IsError: failed}, nil, nil
	}
	sdk.AddTool(s, &sdk.Tool{Name: "echo.it", Description: "says it again"}, func(_ context.Context, _ *sdk.CallToolRequest, a arguments) (*sdk.CallToolResult, any, error) {
		return say("echo "+a.Text, false)
	})
	sdk.AddTool(s, &sdk.Tool{Name: "fail"}, func(context.Context, *sdk.CallToolRequest, arguments) (*sdk.CallToolResult, any, error) {
		return say("it broke", true)
	})
	sdk.AddTool(s, &sdk.Tool{Name: "flood"}, func(context.Context, *sdk.CallToolRequest, arguments) (*sdk.CallToolResult, any, error) {
		return say(strings.Repeat("x", 200_000), false)
	})
	return s
}

// TestMain is also the program that a test takes for a server.
func TestMain(m *testing.M) {
	if os.Getenv("NACRE_TEST_MCP") != "" {
		_ = server().Run(context.Background(), &sdk.StdioTransport{})
		return
	}
	os.Exit(m.Run())
}

// TestConnect: tools of servers over HTTP and of programs; what they return is
// bounded; a server that is not there does not keep the others away.
func TestConnect(t *testing.T) {
	web := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server() }, nil))
	t.Cleanup(web.Close)
	servers := FromEnvironment([]string{"NACRE_TOOLS_WEB=" + web.URL, "PATH=/bin"})
	servers["program"] = Server{Command: os.Args[0], Env: map[string]string{"NACRE_TEST_MCP": "1"}}
	servers["missing"] = Server{Command: "/nowhere"}
	servers["nothing"] = Server{}
	tools, stop, problems := Connect(t.Context(), servers)
	t.Cleanup(stop)
	if len(tools) != 6 || len(problems) != 2 {
		t.Fatalf("%d tools, %v", len(tools), problems)
	}
	for _, name := range []string{"web", "program"} {
		for tool, want := range map[string]string{"echo_it": "echo hi", "fail": "it broke", "flood": "bytes are left out"} {
			out, err := find(t, tools, "mcp__"+name+"__"+tool).Run(t.Context(), json.RawMessage(`{"text":"hi"}`))
			if !strings.Contains(out, want) || (err != nil) != (tool == "fail") || len(out) > 40_000 {
				t.Errorf("%s of %s: %.100q %v", tool, name, out, err)
			}
		}
	}
	if _, err := find(t, tools, "mcp__web__echo_it").Run(t.Context(), json.RawMessage(`{"text":1}`)); err == nil {
		t.Error("wrong arguments were taken")
	}
}

func find(t *testing.T, tools []assistant.Tool, name string) assistant.Tool {
	t.Helper()
	for _, one := range tools {
		if one.Declare().Name == name {
			return one
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// TestFromFile: files as other agents have them.
func TestFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".mcp.json")
	if err := os.WriteFile(path, []byte(`{"mcpServers":{"a":{"type":"http","url":"http://x"},"b":{"command":"c","args":["d"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := FromFile(path)
	if err != nil || s["a"].URL != "http://x" || s["b"].Args[0] != "d" {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := FromFile(path + "x"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FromFile(path); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
	if got := called("a b", strings.Repeat("ü", 100)); len(got) > maxName || strings.Contains(got, " ") {
		t.Error(got)
	}
}
