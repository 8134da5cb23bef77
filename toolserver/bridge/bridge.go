// Package bridge runs inside a tool server's sandbox, in front of a server that
// speaks HTTP on the sandbox's loopback: it speaks in lines to whoever is outside,
// like any other server. It is trusted with nothing.
package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"nacre/gateway/mcp"
	"nacre/strictjson"
)

// Bridge is in front of one server.
type Bridge struct {
	URL string
	Out io.Writer

	client  http.Client
	writing sync.Mutex
	mu      sync.Mutex
	session string
	version string
}

const (
	retry     = 50 * time.Millisecond // between two tries to reach a server that is starting
	maxStream = 64 << 20
	nobody    = -32000 // JSON-RPC's code for "the server does not answer"
)

// Run passes on what comes, each message at once, until there is no more.
func (b *Bridge) Run(ctx context.Context, in io.Reader) error {
	if err := b.reached(ctx); err != nil {
		return err
	}
	lines := strictjson.NewLines(in, mcp.MaxRequest)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		asked, err := mcp.ReadRequest(line)
		switch {
		case err != nil: // an answer to the server's own request, which it gets too
			go b.pass(ctx, line, nil)
		case asked.Method == mcp.Initialize:
			b.pass(ctx, line, asked.ID)
			go b.listen(ctx)
		case asked.ID == nil: // in the order in which they came
			b.pass(ctx, line, nil)
		default:
			go b.pass(ctx, line, asked.ID)
		}
	}
}

// reached waits until the server answers at all.
func (b *Bridge) reached(ctx context.Context) error {
	for {
		r, err := b.request(ctx, http.MethodGet, nil)
		if err != nil {
			return err
		}
		reply, err := b.client.Do(r)
		if err == nil {
			return reply.Body.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retry):
		}
	}
}

func (b *Bridge) request(ctx context.Context, method string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Header.Set("Accept", "application/json, text/event-stream")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if b.session != "" {
		r.Header.Set("Mcp-Session-Id", b.session)
	}
	if b.version != "" {
		r.Header.Set("Mcp-Protocol-Version", b.version)
	}
	return r, nil
}

// pass sends one message, and says what comes back; an error where that is nothing,
// and a request waits for it.
func (b *Bridge) pass(ctx context.Context, line []byte, id any) {
	err := b.exchange(ctx, line)
	if err != nil && id != nil {
		b.say(mcp.Refusal(id, nobody, err.Error()))
	}
}

func (b *Bridge) exchange(ctx context.Context, line []byte) error {
	r, err := b.request(ctx, http.MethodPost, line)
	if err != nil {
		return err
	}
	reply, err := b.client.Do(r)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if id := reply.Header.Get("Mcp-Session-Id"); id != "" {
		b.mu.Lock()
		b.session = id
		b.mu.Unlock()
	}
	switch {
	case reply.StatusCode == http.StatusAccepted:
		return nil
	case reply.StatusCode != http.StatusOK:
		return fmt.Errorf("it answers %s", reply.Status)
	case streams(reply):
		return b.events(reply.Body)
	default:
		text, err := io.ReadAll(io.LimitReader(reply.Body, mcp.MaxReply+1))
		if err == nil {
			b.say(text)
		}
		return err
	}
}

// listen says what the server says unasked.
func (b *Bridge) listen(ctx context.Context) {
	r, err := b.request(ctx, http.MethodGet, nil)
	if err != nil {
		return
	}
	reply, err := b.client.Do(r)
	if err != nil {
		return
	}
	defer reply.Body.Close()
	if streams(reply) {
		_ = b.events(reply.Body) // whoever waits for more has asked for it
	}
}

// streams tells whether a reply is a stream of events.
func streams(reply *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type"))
	return kind == "text/event-stream"
}

func (b *Bridge) events(from io.Reader) error {
	events := mcp.NewEvents(from, maxStream, mcp.MaxReply)
	for {
		data, err := events.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(data)) > 0 {
			b.say(data)
		}
	}
}

// say writes one message as one line. What is no JSON is for whoever reads it to
// refuse.
func (b *Bridge) say(message []byte) {
	var line bytes.Buffer
	if err := json.Compact(&line, message); err != nil {
		line.Reset()
		line.Write(bytes.ReplaceAll(message, []byte("\n"), []byte(" ")))
	}
	b.mu.Lock()
	if b.version == "" {
		b.version = version(line.Bytes())
	}
	b.mu.Unlock()
	line.WriteByte('\n')
	b.writing.Lock()
	defer b.writing.Unlock()
	_, _ = b.Out.Write(line.Bytes()) // where nobody reads it, the input ends too
}

// version is the one of the protocol that a reply names.
func version(line []byte) string {
	var m struct {
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"result"`
	}
	_ = json.Unmarshal(line, &m)
	if mcp.Known(m.Result.ProtocolVersion) {
		return m.Result.ProtocolVersion
	}
	return ""
}
