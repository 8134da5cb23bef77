package launch

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/gateway/model"
	"nacre/vault"
)

// oracle answers as Anthropic and OpenAI do, and says what it used.
var oracle = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var asked struct {
		Model  string
		Stream bool
	}
	_ = json.Unmarshal(body, &asked)
	key := r.Header.Get("X-Api-Key") + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case key != canary:
		w.WriteHeader(http.StatusUnauthorized)
	case asked.Model == "broken":
		w.WriteHeader(http.StatusInternalServerError)
	case asked.Stream:
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"message\":{\"usage\":{\"input_tokens\":40}}}\n\n")
		w.(http.Flusher).Flush()
		fmt.Fprintf(w, "data: {\"text\":\"hello from %s, your key is %s\"}\n\ndata: {\"usage\":{\"output_tokens\":60}}\n\n", asked.Model, key)
	default:
		fmt.Fprintf(w, `{"text":"hello from %s at %s","host":%q,"usage":{"input_tokens":40,"output_tokens":60}}`, asked.Model, r.URL.Path, r.Host)
	}
})

// models grants models at Anthropic, which is really on this machine.
func (w *world) models(l net.Listener, detail map[string]string) {
	w.modelsAt("anthropic", l, detail)
}

// modelsAt grants models at a provider that is really on this machine.
func (w *world) modelsAt(provider string, l net.Listener, detail map[string]string) {
	known, err := model.Providers()
	if err != nil {
		w.t.Fatal(err)
	}
	p := known[provider]
	p.Host, p.Port, p.Plain = "127.0.0.1", l.Addr().(*net.TCPAddr).Port, true
	w.launcher.Providers = map[string]model.Provider{provider: p}
	w.plan.Models = []nacre.NamedGrant{{Grant: nacre.Grant{ID: "models.1"}, Name: provider, Detail: detail}}
	w.launcher.Secrets = func([]string) (map[string]*vault.Secret, error) {
		return map[string]*vault.Secret{provider: vault.New([]byte(canary))}, nil
	}
}

// ask makes requests from inside as programs do: by the variables that they find.
func ask(bodies ...string) []string {
	script := ""
	for _, b := range bodies {
		script += `curl -sS -m 20 -w ' %{http_code}\n' -H "X-Api-Key: $ANTHROPIC_API_KEY" -H 'Content-Type: application/json' -d '` + b + `' "$ANTHROPIC_BASE_URL/v1/messages"; `
	}
	return []string{"sh", "-c", script + `curl -sS -w ' %{http_code}\n' "$ANTHROPIC_BASE_URL/v1/files"; env | grep ANTHROPIC`}
}

// TestModels: the models that are granted answer, through a name of ours and
// with a key that stays outside; what they used is in the record.
func TestModels(t *testing.T) {
	w := newWorld(t)
	w.models(plain(t, oracle), map[string]string{"models": "claude-*", "tokens": "100000"})
	out := w.run(ask(`{"model":"claude-x","max_tokens":100}`, `{"model":"claude-x","max_tokens":100,"stream":true}`, `{"model":"gpt-x","max_tokens":100}`,
		`{"model":"claude-x","Model":"gpt-x","max_tokens":1}`, `not json`)...)
	has(t, out, "hello from claude-x at /v1/messages", "127.0.0.1:", `hello from claude-x, your key is ****`, "is not among claude-*", "is there twice", "not a JSON object",
		"is not among /v1/messages", "ANTHROPIC_BASE_URL=http://anthropic.model.nacre.internal")
	if strings.Contains(out, canary) || strings.Contains(w.audit.String(), canary) || strings.Contains(out, "hello from gpt") {
		t.Error("the key is inside, or another model answered")
	}
	used := 0
	for _, e := range w.audit.events {
		if e.Kind == "network.usage" && e.Detail["in"] == "40" && e.Detail["out"] == "60" {
			used++
		}
	}
	if e, ok := w.audit.find("network.request", "anthropic.model.nacre.internal"); used != 2 || !ok || e.Detail["model"] != "claude-x" {
		t.Errorf("%d uses in the record, %+v", used, e)
	}
}

// TestModelBudget: what a request may use is reserved; what it did not use comes
// back; without enough left nothing goes out.
func TestModelBudget(t *testing.T) {
	w := newWorld(t)
	w.models(plain(t, oracle), map[string]string{"models": "*", "tokens": "450"})
	one := `{"model":"claude-x","max_tokens":200}`
	out := w.run(ask(one, one, one, one, `{"model":"broken","max_tokens":100}`, `{"model":"claude-x","max_tokens":10}`)...)
	if strings.Count(out, "hello from") != 4 || strings.Count(out, " 403") != 2 {
		t.Errorf("three fit with what came back, then a small one:\n%s", out)
	}
	has(t, out, "the budget of 450 tokens is spent")
	w2 := newWorld(t)
	w2.models(plain(t, oracle), map[string]string{"models": "*", "requests": "2"})
	out = w2.run(ask(one, one, one)...)
	if strings.Count(out, "hello from") != 2 {
		t.Errorf("two requests are granted:\n%s", out)
	}
	has(t, out, "the budget of 2 requests is spent")
}

func TestModelsRefused(t *testing.T) {
	for name, m := range map[string][]nacre.NamedGrant{
		"unknown": {{Name: "nobody", Detail: map[string]string{"tokens": "1"}}},
		"day":     {{Name: "anthropic", Detail: map[string]string{"tokens": "1", "tokens-per-day": "1"}}}, // with nowhere to keep it
		"twice":   {{Name: "anthropic", Detail: map[string]string{"tokens": "1"}}, {Name: "anthropic", Detail: map[string]string{"tokens": "1"}}},
		"endless": {{Name: "anthropic", Detail: map[string]string{"models": "*"}}},
	} {
		if err := (&Launcher{}).Supports(nacre.Plan{Loopback: true, Models: m}); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}
