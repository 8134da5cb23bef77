//lint:file-ignore SA1019 what a server may ask of older clients is tried here
package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"nacre"
	"nacre/fault"
	calls "nacre/tools"
)

// tools grants tools of a server that is really on this machine.
func (w *world) tools(l net.Listener, scheme string, details ...map[string]string) {
	for _, d := range details {
		d["url"] = scheme + "://" + l.Addr().String() + "/mcp"
		w.plan.Tools = append(w.plan.Tools, nacre.NamedGrant{Grant: nacre.Grant{ID: fmt.Sprintf("tools.%d", len(w.plan.Tools)+1)}, Name: "hub", Detail: d})
	}
}

// toolServer is a real server. Its tool "ask" asks the client's model.
func toolServer(options *mcp.StreamableHTTPOptions) http.Handler {
	s := mcp.NewServer(&mcp.Implementation{Name: "hub", Version: "1"}, nil)
	type in struct {
		Repo  string `json:"repo"`
		Limit int    `json:"limit,omitempty"`
	}
	answer := func(text string) *mcp.CallToolResult {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	}
	for _, name := range []string{"get_issue", "get_secret", "delete_repo"} {
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: "does " + name}, func(ctx context.Context, r *mcp.CallToolRequest, a in) (*mcp.CallToolResult, any, error) {
			if token := r.Params.GetProgressToken(); token != nil {
				_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: 1, Message: "half way"})
			}
			return answer(fmt.Sprintf("did %s of %s, authorised %q", name, a.Repo, r.Extra.Header.Get("Authorization"))), nil, nil
		})
	}
	mcp.AddTool(s, &mcp.Tool{Name: "ask"}, func(ctx context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		_, err := r.Session.CreateMessage(ctx, &mcp.CreateMessageParams{MaxTokens: 1, Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: "hi"}}}})
		_, roots := r.Session.ListRoots(ctx, nil)
		ping := r.Session.Ping(ctx, nil)
		return answer(fmt.Sprintf("asked: %v; roots: %v; ping: %v", err, roots, ping)), nil, nil
	})
	s.AddPrompt(&mcp.Prompt{Name: "trick"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Description: "tricked"}, nil
	})
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, options)
	mux := http.NewServeMux()
	mux.Handle("/mcp", h)
	return mux
}

// toolClient is a real client, inside: it lists the tools, then makes calls.
func toolClient(args []string) {
	c := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, &mcp.ClientOptions{
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			fmt.Println("the server reached the model")
			return &mcp.CreateMessageResult{Role: "assistant", Content: &mcp.TextContent{Text: "yes"}}, nil
		},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			fmt.Println("progress", r.Params.Message)
		},
	})
	c.AddRoots(&mcp.Root{URI: "file:///work", Name: "work"})
	ctx := context.Background()
	s, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: os.Getenv("NACRE_TOOLS_HUB")}, nil)
	if err != nil {
		fmt.Println("connect:", err)
		return
	}
	fmt.Println("session", s.ID() != "")
	list, err := s.ListTools(ctx, nil)
	if err != nil {
		fmt.Println("list:", err)
		return
	}
	for _, t := range list.Tools {
		fmt.Println("has", t.Name)
	}
	for i := 0; i+1 < len(args); i += 2 {
		p := &mcp.CallToolParams{Name: args[i], Arguments: json.RawMessage(args[i+1])}
		p.SetProgressToken("p")
		r, err := s.CallTool(ctx, p)
		if err != nil {
			fmt.Println(args[i], "failed:", err)
			continue
		}
		fmt.Println(args[i], "said:", r.Content[0].(*mcp.TextContent).Text)
	}
	_, err = s.GetPrompt(ctx, &mcp.GetPromptParams{Name: "trick"})
	fmt.Println("prompt:", err)
	fmt.Println("ping:", s.Ping(ctx, nil), "close:", s.Close())
}

// TestTools: a real client inside and a real server outside, by streams, whole
// replies and without sessions: granted tools are seen and answer, and nothing
// else does.
func TestTools(t *testing.T) {
	for name, options := range map[string]*mcp.StreamableHTTPOptions{"stream": nil, "whole": {JSONResponse: true}, "stateless": {Stateless: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.tools(w.serve(t, toolServer(options), "hub.test"), "https", map[string]string{"tools": "get_issue; ask", "arguments": "only; repo?=acme/*"})
			w.secret("hub-token", canary, "bearer", "hub.tools.nacre.internal")
			out := w.client("tools", "get_issue", `{"repo":"acme/site"}`, "get_issue", `{"repo":"evil/site"}`, "get_issue", `{"repo":"acme/x","limit":5}`,
				"get_secret", `{"repo":"acme/site"}`, "delete_repo", `{"repo":"acme/site"}`, "ask", `{}`)
			has(t, out, "has get_issue", "has ask", "get_issue said: did get_issue of acme/site", `authorised "Bearer ****`, "the argument repo is not what the grant says",
				`the argument "limit" is not among`, `the tool "get_secret" of hub is not granted`, `the tool "delete_repo" of hub is not granted`, "ask said: asked: ", "\nping: <nil> close: <nil>")
			for _, never := range []string{"has get_secret", "has delete_repo", "did delete_repo", "did get_secret", "reached the model", "asked: <nil>", "roots: <nil>", "prompt: <nil>", canary} {
				if strings.Contains(out, never) {
					t.Errorf("%q is inside", never)
				}
			}
			if name != "stateless" {
				has(t, out, "progress half way", "session true", "roots/list\": not available here; ping: <nil>")
			}
			w.toolRecords(t)
		})
	}
}

// toolRecords: the audit names server, tool and a digest of the arguments, and no
// value of them.
func (w *world) toolRecords(t *testing.T) {
	t.Helper()
	allowed, denied, seen := 0, 0, 0
	for _, e := range w.audit.events {
		if text := fmt.Sprint(e); strings.HasPrefix(e.Kind, "network.") && (strings.Contains(text, "acme/site") || strings.Contains(text, "evil/site") || strings.Contains(text, canary)) {
			t.Errorf("the audit has values of arguments: %v", e)
		}
		switch {
		case e.Kind != "network.tool" || e.Detail["server"] != "hub":
		case e.Detail["definition"] != "":
			seen++
		case e.Detail["tool"] == "get_issue" && e.Decision == nacre.Allow && e.Rule == "tools.1" && strings.HasPrefix(e.Detail["arguments"], "sha256:") && strings.HasPrefix(e.Detail["secrets"], "hub-token "):
			allowed++
		case e.Detail["tool"] == "delete_repo" && e.Decision == nacre.Deny && e.Detail["to"] == "hub/delete_repo":
			denied++
		}
	}
	if allowed != 1 || denied != 1 || seen != 2 {
		t.Errorf("%d calls, %d denials and %d definitions in the record:\n%v", allowed, denied, seen, w.audit.events)
	}
}

// TestToolsRefused: what no gateway could enforce does not start.
func TestToolsRefused(t *testing.T) {
	for name, details := range map[string][]map[string]string{
		"no place":   {{"tools": "a"}},
		"far, plain": {{"tools": "a", "url": "http://hub.example.com/mcp"}},
		"two places": {{"tools": "a", "url": "https://a.example.com/mcp"}, {"tools": "a", "url": "https://b.example.com/mcp"}},
		"conditions": {{"tools": "a", "url": "https://a.example.com/mcp", "arguments": "x=**"}},
		"two pins":   {{"tools": "a", "url": "https://a.example.com/mcp", "pins": "a@sha256:1; a@sha256:2"}},
	} {
		p := nacre.Plan{Loopback: true}
		for _, d := range details {
			p.Tools = append(p.Tools, nacre.NamedGrant{Name: "hub", Detail: d})
		}
		if err := (&Launcher{}).Supports(p); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := nacre.Plan{Loopback: true, Tools: []nacre.NamedGrant{{Name: "hub", Detail: map[string]string{"tools": "a", "url": "https://a.example.com/mcp"}}},
		Secrets: []nacre.NamedGrant{{Name: "token", Detail: map[string]string{"hosts": calls.Inside("hub"), "slot": "bearer"}}}}
	if err := (&Launcher{}).Supports(good); err != nil {
		t.Error(err)
	}
	for _, n := range []nacre.NetworkGrant{{Host: "127.0.0.1", As: calls.Inside("hub")}, {Host: "*.tools.nacre.internal"}} {
		taken := good
		taken.Network = []nacre.NetworkGrant{n}
		if err := (&Launcher{}).Supports(taken); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("a destination that would be taken for the server's: %v", err)
		}
	}
	good.Tools[0].Name = "Hub/x"
	if err := (&Launcher{}).Supports(good); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("a name that cannot be a host's: %v", err)
	}
	good.Tools, good.Loopback = nil, true
	if err := (&Launcher{}).Supports(good); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("a secret for a server that is not granted: %v", err)
	}
}
