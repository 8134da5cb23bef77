package launch

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"nacre"
	"nacre/manifest"
)

// scripted answers as a model does that calls one tool, and then says what the
// tool said.
var scripted = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("X-Api-Key") != canary {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var asked struct {
		Stream bool
		Tools  []any
	}
	_ = json.Unmarshal(body, &asked)
	block := map[string]any{"type": "text", "text": "no tool was called"}
	delta, stop := map[string]any{"type": "text_delta", "text": "no tool was called"}, "end_turn"
	switch {
	case strings.Contains(string(body), `"tool_result"`):
		text := "the tool did not run"
		if strings.Contains(string(body), "said-by-the-tool") {
			text = "the model heard the tool"
		}
		block, delta = map[string]any{"type": "text", "text": text}, map[string]any{"type": "text_delta", "text": text}
	case len(asked.Tools) > 0:
		input := map[string]any{"command": "echo said-by-the-$(echo tool); env | grep -c ANTHROPIC", "description": "say something"}
		text, _ := json.Marshal(input)
		block = map[string]any{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": input}
		delta, stop = map[string]any{"type": "input_json_delta", "partial_json": string(text)}, "tool_use"
	}
	message := map[string]any{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": []any{block}, "stop_reason": stop,
		"usage": map[string]any{"input_tokens": 10, "output_tokens": 20}}
	if !asked.Stream {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(message)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(kind string, fields map[string]any) {
		fields["type"] = kind
		b, _ := json.Marshal(fields)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, b)
		w.(http.Flusher).Flush()
	}
	message["content"], message["stop_reason"] = []any{}, nil
	start := map[string]any{"type": "text", "text": ""}
	if stop == "tool_use" {
		start = map[string]any{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": map[string]any{}}
	}
	event("message_start", map[string]any{"message": message})
	event("content_block_start", map[string]any{"index": 0, "content_block": start})
	event("content_block_delta", map[string]any{"index": 0, "delta": delta})
	event("content_block_stop", map[string]any{"index": 0})
	event("message_delta", map[string]any{"delta": map[string]any{"stop_reason": stop}, "usage": map[string]any{"output_tokens": 20}})
	event("message_stop", map[string]any{})
})

// TestClaudeCode: the real program, as its maker ships it, calls a tool, with a
// key that it never has. $NACRE_TEST_CLAUDE is the folder with the program.
func TestClaudeCode(t *testing.T) {
	folder := os.Getenv("NACRE_TEST_CLAUDE")
	if folder == "" {
		t.Skip("needs Claude Code: NACRE_TEST_CLAUDE=FOLDER, with the program claude in it (npm i @anthropic-ai/claude-code)")
	}
	w := newWorld(t)
	w.models(plain(t, scripted), map[string]string{"models": strings.Join([]string{"claude-*"}, manifest.Separator), "tokens": "5000000"})
	w.plan.Files = append(w.plan.Files, nacre.FileGrant{Host: folder, Inside: "/work/claude", Access: nacre.Read})
	w.plan.Identity.HostFolders = true
	w.plan.Limits.Memory, w.plan.Limits.Disk = 2<<30, 512<<20
	w.plan.Environment = append(w.plan.Environment, nacre.Variable{Name: "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", Value: "1"})
	out := w.run("sh", "-c", `/work/claude/claude -p "say something with the tool" --output-format json --allowedTools Bash --model claude-x </dev/null; env; cat /proc/*/environ`)
	has(t, out, "the model heard the tool")
	if strings.Contains(out, canary) || strings.Contains(w.audit.String(), canary) {
		t.Error("the key is inside, or in the record")
	}
}
