package toolserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"nacre"
)

// honest is a real server, on its standard input and output, or as HTTP.
func honest(name string) {
	s := mcp.NewServer(&mcp.Implementation{Name: name, Version: "1"}, nil)
	type in struct {
		City string `json:"city"`
	}
	mcp.AddTool(s, &mcp.Tool{Name: "weather", Description: "says the weather"}, func(ctx context.Context, r *mcp.CallToolRequest, a in) (*mcp.CallToolResult, any, error) {
		if token := r.Params.GetProgressToken(); token != nil {
			_ = r.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: 1, Message: "looking"})
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "sunny in " + a.City}}}, nil, nil
	})
	var err error
	if name == "http" {
		err = http.ListenAndServe("127.0.0.1:8000", mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	} else {
		err = s.Run(context.Background(), &mcp.StdioTransport{})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// use is a real client, inside: two of it, one after the other has begun.
func use(url string) {
	ctx := context.Background()
	for i := range 2 {
		c := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, &mcp.ClientOptions{
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
				fmt.Println("progress", r.Params.Message)
			},
		})
		s, err := c.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url}, nil)
		if err != nil {
			fmt.Println("connect:", err)
			return
		}
		list, err := s.ListTools(ctx, nil)
		if err != nil {
			fmt.Println("list:", err)
			return
		}
		for _, t := range list.Tools {
			fmt.Println("has", t.Name)
		}
		for _, city := range []string{"Bern", "Oslo"} {
			p := &mcp.CallToolParams{Name: "weather", Arguments: json.RawMessage(`{"city":"` + city + `"}`)}
			p.SetProgressToken(fmt.Sprint("p", i))
			r, err := s.CallTool(ctx, p)
			if err != nil {
				fmt.Println(city, "failed:", err)
				continue
			}
			fmt.Println(city, "said:", r.Content[0].(*mcp.TextContent).Text)
		}
		fmt.Println("ping:", s.Ping(ctx, nil), "session", s.ID() != "", "close:", s.Close())
	}
}

// TestRealServer: a real client inside and a real server in a sandbox of its own, which
// speaks in lines, or HTTP on its own loopback.
func TestRealServer(t *testing.T) {
	for _, name := range []string{"lines", "http"} {
		t.Run(name, func(t *testing.T) {
			w := forTest(t)
			if name == "http" {
				w.answer += "\nurl: http://127.0.0.1:8000/mcp"
			}
			w.skill(t, name, "", map[string]string{"tools": "weather", "arguments": "city=B*"})
			w.plan.Files = append(w.plan.Files, nacre.FileGrant{Host: filepath.Join(w.home, "skills", name), Inside: "/work/client", Access: nacre.Read})
			w.plan.Identity.HostFolders = true
			out := w.run(t, "/work/client/server use $NACRE_TOOLS_"+strings.ToUpper(name))
			for _, line := range []string{"has weather", "progress looking", "Bern said: sunny in Bern", "ping: <nil> session true close: <nil>"} {
				if strings.Count(out, line) != 2 {
					t.Errorf("%q is not there twice:\n%s", line, out)
				}
			}
			if strings.Count(out, "Oslo failed:") != 2 || strings.Contains(out, "sunny in Oslo") {
				t.Errorf("%s\n%s", out, w.audit)
			}
		})
	}
}
