package launch

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/gateway/budget"
	"nacre/runs"
	"nacre/test/fakemodel"
)

// askModel makes a request from inside, at an address that the shell there knows.
func askModel(address, body string, more ...string) string {
	return `curl -sS -m 20 -w ' %{http_code}\n' -H 'X-Goog-Api-Key: own' -H 'Authorization: Bearer own' -H 'Content-Type: application/json' ` + strings.Join(more, " ") + ` -d '` + body + `' "` + address + `"; `
}

// dialects are how each interface is asked.
var dialects = []struct{ name, provider, model, address, body, answer string }{
	{"messages", "anthropic", "claude-haiku-4-5", "$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-haiku-4-5","max_tokens":50,"messages":[]%s}`, "A short text."},
	{"chat", "openai", "gpt-5-mini", "$OPENAI_BASE_URL/chat/completions", `{"model":"gpt-5-mini","messages":[]%s}`, "A short text."},
	{"responses", "openai", "gpt-5-mini", "$OPENAI_BASE_URL/responses", `{"model":"gpt-5-mini","input":[]%s}`, "A short text."},
	{"gemini", "gemini", "gemini-2.5-flash", "$GOOGLE_GEMINI_BASE_URL/v1beta/models/gemini-2.5-flash:generateContent", `{"contents":[]%s}`, "A short text."},
	{"local", "ollama", "qwen3", "$OPENAI_BASE_URL/chat/completions", `{"model":"qwen3","messages":[]%s}`, "A short text."},
}

// asked has a dialect's address and body, for a stream or not.
func asked(address, body string, stream bool) (string, string) {
	switch gemini := strings.Contains(address, ":generateContent"); {
	case gemini && stream:
		return strings.Replace(address, ":generateContent", ":streamGenerateContent?alt=sse&key=own", 1), fmt.Sprintf(body, "")
	case stream:
		return address, fmt.Sprintf(body, `,"stream":true`)
	}
	return address, fmt.Sprintf(body, "")
}

// TestModelInterfaces: each interface is answered through the name inside and the
// usual variables, whole and as a stream, with the key that stays outside; what was
// used, and what that cost, is in the record; what is not granted is refused.
func TestModelInterfaces(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			fake := &fakemodel.Server{Key: canary}
			if d.provider == "ollama" {
				fake.Key = "" // it has none
			}
			w := newWorld(t)
			w.modelsAt(d.provider, plain(t, fake), map[string]string{"models": d.model, "cents": "100"})
			script := ""
			for _, stream := range []bool{false, true} {
				script += askModel(asked(d.address, d.body, stream))
			}
			script += askModel(asked(strings.Replace(d.address, d.model, "other", 1), strings.Replace(d.body, d.model, "other", 1), false))
			out := w.run("sh", "-c", script+"env")
			if strings.Count(out, " 200\n") != 2 || !strings.Contains(out, "is not among "+d.model) || strings.Contains(out, canary) {
				t.Error("not two answers and a refusal, or the key is inside")
			}
			for _, q := range fake.Requests() {
				if q.Status != http.StatusOK || q.Key == "own" && fake.Key != "" {
					t.Errorf("%+v", q)
				}
			}
			used := 0
			for _, e := range w.audit.events {
				if e.Kind == "network.usage" && e.Detail["model"] == d.model && e.Detail["in"] != "0" && e.Detail["out"] != "0" &&
					(e.Detail["cents"] != "" || d.provider == "ollama") && e.Detail["prices"] != "" && e.Detail["tokens"] != "0" {
					used++
				}
			}
			if used != 2 {
				t.Errorf("%d uses in the record", used)
			}
		})
	}
}

// TestResponsesWebSocket: a client that can do without a WebSocket is told so.
func TestResponsesWebSocket(t *testing.T) {
	w := newWorld(t)
	w.modelsAt("openai", plain(t, &fakemodel.Server{}), map[string]string{"models": "*", "requests": "5"})
	has(t, w.run("sh", "-c", `curl -sS -w ' %{http_code}\n' -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' "$OPENAI_BASE_URL/responses"`), " 426\n")
}

// TestModelMoney: money is reserved and counted; what has no price, or may cost
// more than it, does not go out.
func TestModelMoney(t *testing.T) {
	fake := &fakemodel.Server{}
	w := newWorld(t)
	w.models(plain(t, fake), map[string]string{"models": "*", "cents": "1"})
	// 1 cent is 2,000 tokens of an answer.
	ask := func(most int, more string) string {
		return askModel("$ANTHROPIC_BASE_URL/v1/messages", fmt.Sprintf(`{"model":"claude-haiku-4-5","max_tokens":%d,"messages":[]%s}`, most, more))
	}
	out := w.run("sh", "-c", ask(1900, "")+ask(1900, "")+ask(2100, "")+ask(10, `,"service_tier":"priority"`)+ask(10, `,"speed":"fast"`)+
		askModel("$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-unheard-of","max_tokens":1,"messages":[]}`))
	if strings.Count(out, " 200\n") != 2 || len(fake.Requests()) != 2 {
		t.Error("two fit")
	}
	has(t, out, "the budget of 1 cents is spent", "service_tier may be dearer", "speed may be dearer", `nobody says what the model \"claude-unheard-of\" costs`, "prices.yaml")
}

// endless is a model that knows no bound.
func endless(event string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, event); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
}

// TestModelStreamEnds: a stream that uses more than there is ends after a whole
// event, with an error that the interface knows, and goes on outside no longer.
func TestModelStreamEnds(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			const event = "data: {\"delta\":\"xxxxxxxxxxxxxxxxxxxxxxxx\"}\n\n"
			gone := make(chan struct{}, 1)
			w := newWorld(t)
			w.modelsAt(d.provider, plain(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				endless(event).ServeHTTP(rw, r)
				gone <- struct{}{}
			})), map[string]string{"models": "*", "tokens": "500"})
			out := w.run("sh", "-c", askModel(asked(d.address, d.body, true)))
			select {
			case <-gone:
			case <-time.After(10 * time.Second):
				t.Error("it goes on outside")
			}
			whole := strings.Count(out, event)
			_, end, _ := strings.Cut(out, strings.Repeat(event, whole))
			if whole > 500 || whole < 400 || strings.Contains(end, "xxx") || !strings.Contains(end, "the budget of 500 tokens is spent") || !strings.HasSuffix(end, "\n\n 200\n") {
				t.Errorf("%d events, then %q", whole, end)
			}
			e, ok := w.audit.find("network.usage", "")
			if n, _ := strconv.Atoi(e.Detail["tokens"]); !ok || n < 450 || n > 502 { // one event, and what went in
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestModelClientLeaves: whoever leaves in the middle pays what was reserved; who
// could not be sent pays nothing.
func TestModelClientLeaves(t *testing.T) {
	w := newWorld(t)
	w.models(plain(t, endless("data: {\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n: wait\n\n")), map[string]string{"models": "*", "tokens": "100000"})
	w.run("sh", "-c", strings.TrimSuffix(askModel("$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-x","stream":true,"max_tokens":7777}`, "-N"), "; ")+" | head -c 200")
	e, ok := w.audit.find("network.usage", "")
	if n, _ := strconv.Atoi(e.Detail["tokens"]); !ok || n < 7777 {
		t.Errorf("charged %+v", e)
	}
	l := listen(t)
	w = newWorld(t)
	w.models(l, map[string]string{"models": "*", "tokens": "1000"})
	l.Close()
	one := askModel("$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-x","max_tokens":700}`)
	if out := w.run("sh", "-c", one+one+one); strings.Count(out, " 502\n") != 3 {
		t.Error("what nobody heard was charged")
	}
}

// TestModelFlood: many requests at once, against a budget that is nearly spent,
// never have more reserved than there is.
func TestModelFlood(t *testing.T) {
	const all = 30
	release := make(chan struct{})
	fake := &fakemodel.Server{Hold: func(int) { <-release }}
	w := newWorld(t)
	w.launcher.Budgets = filepath.Join(t.TempDir(), "budgets")
	w.models(plain(t, fake), map[string]string{"models": "*", "tokens-per-day": "1100"})
	body := `{"model":"claude-x","max_tokens":100,"messages":[]}`
	box, out := w.start("sh", "-c", fmt.Sprintf("seq %d | xargs -P %d -I{} sh -c '%s'", all, all,
		strings.ReplaceAll(askModel("$ANTHROPIC_BASE_URL/v1/messages", body), "'", `'\''`)))
	refused := func() int { return strings.Count(out.String(), " 403\n") }
	for limit := time.Now().Add(30 * time.Second); refused() < all-9 && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	early := refused()
	close(release)
	if _, err := box.Wait(); err != nil {
		t.Fatal(err)
	}
	answered := len(fake.Requests()) // each of 113 tokens at most
	if early != all-9 || answered != 9 || refused() != all-9 {
		t.Errorf("%d refused while others ran, %d answered, %d refused\n%s", early, answered, refused(), out)
	}
	days, err := budget.Days(w.launcher.Budgets, w.plan.Subject.String())
	if err != nil || len(days) != 1 || days[0].Used.Tokens >= 1100 || days[0].Used.Requests != 9 || days[0].Provider != "anthropic" {
		t.Errorf("%+v %v", days, err)
	}
}

// TestModelDay: two sandboxes of one agent share its day, and one that follows has
// what they left; another agent has a day of its own.
func TestModelDay(t *testing.T) {
	budgets, l := filepath.Join(t.TempDir(), "budgets"), plain(t, &fakemodel.Server{})
	world := func(agent string) *world {
		w := newWorld(t)
		w.launcher.Budgets, w.plan.Subject.Path = budgets, agent
		w.models(l, map[string]string{"models": "*", "requests-per-day": "5", "tokens-per-day": "100000"})
		return w
	}
	three := "for i in 1 2 3; do " + askModel("$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-x","max_tokens":100,"messages":[]}`) + "done"
	answered := func(out string) int { return strings.Count(out, " 200\n") }
	// Both are at work at once, but one process can start only one sandbox at a time.
	var boxes [2]nacre.Sandbox
	var outs [2]*buffer
	r, begin := io.Pipe()
	for i := range boxes {
		w := world("/a.yaml")
		w.in = r
		boxes[i], outs[i] = w.start("sh", "-c", "read go; "+three)
	}
	begin.Close()
	for i, box := range boxes {
		if _, err := box.Wait(); err != nil {
			t.Fatal(err)
		}
		t.Log(outs[i])
	}
	if n := answered(outs[0].String()) + answered(outs[1].String()); n != 5 || answered(outs[0].String()) < 2 || answered(outs[1].String()) < 2 {
		t.Errorf("%d of 5 answered", n)
	}
	after := world("/a.yaml")
	if out := after.run("sh", "-c", three); answered(out) != 0 || !strings.Contains(out, "the day's budget of 5 requests is spent") {
		t.Error("a day's budget came back")
	}
	if out := world("/b.yaml").run("sh", "-c", three); answered(out) != 3 {
		t.Error("another agent has not its own")
	}
}

// TestModelKilled: a supervisor that is killed in the middle of a request has used
// what that had reserved.
func TestModelKilled(t *testing.T) {
	const variable = "NACRE_TEST_BUDGETS"
	most := map[string]string{"models": "*", "tokens-per-day": "1000"}
	one := askModel("$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-x","max_tokens":600,"messages":[]}`)
	world := func(dir, at string) *world {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w := newWorld(t)
		w.launcher.Budgets = filepath.Join(dir, "budgets")
		store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
		if err != nil {
			t.Fatal(err)
		}
		w.engine.Runs = store
		w.models(l, most)
		p := w.launcher.Providers["anthropic"]
		p.Port, _ = strconv.Atoi(at)
		w.launcher.Providers["anthropic"] = p
		return w
	}
	if dir, at, ok := strings.Cut(os.Getenv(variable), "|"); ok { // the supervisor that is killed
		world(dir, at).run("sh", "-c", one)
		return
	}
	held, release := make(chan struct{}, 1), make(chan struct{})
	fake := &fakemodel.Server{Hold: func(int) {
		select {
		case held <- struct{}{}:
			<-release
		default: // the second is not held
		}
	}}
	dir, at := t.TempDir(), port(plain(t, fake))
	child := exec.Command("/proc/self/exe", "-test.run=^TestModelKilled$")
	child.Env = append(os.Environ(), variable+"="+dir+"|"+at, "TMPDIR="+dir) // it cannot tidy up
	var said buffer
	child.Stdout, child.Stderr = &said, &said
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-held:
	case <-time.After(60 * time.Second):
		t.Errorf("nothing was asked: %s", said.String())
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	close(release)
	w := world(dir, at)
	held <- struct{}{}
	out := w.run("sh", "-c", one+askModel("$ANTHROPIC_BASE_URL/v1/messages", `{"model":"claude-x","max_tokens":300,"messages":[]}`))
	has(t, out, "the day's budget of 1000 tokens is spent: 61", " 403\n", " 200\n")
}
