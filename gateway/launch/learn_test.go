package launch

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
)

// TestLearnReachesNobody: where a gateway learns, it hears what would be asked
// for, and even what the plan grants is not dialled.
func TestLearnReachesNobody(t *testing.T) {
	w := newWorld(t)
	var reached atomic.Int32
	l := w.serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }), "api.test")
	raw := listen(t)
	go func() {
		for {
			c, err := raw.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			c.Close()
		}
	}()
	w.grant("api.test", l, nil)
	w.grant("raw.test", raw, func(g *nacre.NetworkGrant) { g.Scheme, g.Methods, g.Paths = "tcp", nil, nil })
	w.launcher.Learn = true
	out := w.run("sh", "-c", `curl -sS https://api.test:`+port(l)+`/x; curl -sS -d y https://never.granted.test/z
		curl -sS telnet://raw.test:`+port(raw)+` </dev/null; curl -sS http://127.0.0.2:`+port(raw)+`
		ssh -o BatchMode=yes git@code.test "git-upload-pack 'a/b'" </dev/null; echo at the end`)
	has(t, out, "denied_by_sandbox", "at the end")
	if reached.Load() != 0 {
		t.Error("somebody was reached")
	}
	for _, to := range []string{"GET https://api.test:" + port(l) + "/x", "POST https://never.granted.test:443/z", "FETCH ssh://code.test:22/a/b/git-upload-pack"} {
		if e, ok := w.audit.find("network.request", to); !ok || e.Decision != nacre.Deny {
			t.Errorf("the record of %s: %+v", to, e)
		}
	}
	if _, ok := w.audit.find("network.connect", "tcp://raw.test:"+port(raw)); !ok {
		t.Error("the connection is not in the record")
	}
}

// TestAsked: where somebody is asked, a request waits for the answer; what is allowed
// goes out, and nothing else does. Of each thing it is asked once.
func TestAsked(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test")
	w.grant("never.granted.test", l, nil)
	asked := make(chan string, 100)
	w.launcher.Learn, w.launcher.Patience = true, time.Minute
	w.launcher.Ask = func(id uint64, i egress.Intent) {
		asked <- i.String()
		allow := i.Host == "api.test" && i.Method == "GET"
		if allow {
			w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Methods = []string{"GET"} })
			if err := w.opened.Change(nil, w.plan.Network[1:]); err != nil {
				t.Error(err)
			}
		}
		if err := w.opened.Answer(id, allow); err != nil {
			t.Error(err)
		}
	}
	at := "https://api.test:" + port(l)
	out := w.run("sh", "-c", "curl -sS "+at+"/a; curl -sS "+at+"/b; curl -sS -d x "+at+"/c; curl -sS -d x "+at+"/d; curl -sS https://never.test/e; echo at the end")
	close(asked)
	var list []string
	for s := range asked {
		list = append(list, s)
	}
	if want := []string{"GET " + at + "/a", "POST " + at + "/c", "GET https://never.test:443/e"}; !slices.Equal(list, want) {
		t.Errorf("asked %q", list)
	}
	has(t, out, "GET api.test:"+port(l)+" /a", "GET api.test:"+port(l)+" /b", "denied_by_sandbox", "at the end")
	if strings.Contains(out, "/c 1") || strings.Contains(out, "/d 1") || strings.Count(out, "denied_by_sandbox") != 3 {
		t.Errorf("%s", out)
	}
	if e, ok := w.audit.find("network.request", "GET "+at+"/a"); !ok || e.Decision != nacre.Allow {
		t.Error(w.audit)
	}
}

// TestAskedInVain: where nobody answers, a request is refused after a while, and a
// program that asks for ever new things is not asked about any more.
func TestAskedInVain(t *testing.T) {
	w := newWorld(t)
	w.grant("never.granted.test", listen(t), nil)
	var asked atomic.Int32
	w.launcher.Learn, w.launcher.Patience = true, time.Millisecond
	w.launcher.Ask = func(uint64, egress.Intent) { asked.Add(1) }
	out := w.run("sh", "-c", "for i in $(seq 130); do echo url=http://x$i.test/; done | curl -sS -K -; echo at the end")
	has(t, out, "at the end")
	if n := strings.Count(out, "denied_by_sandbox"); n != 130 || asked.Load() != wire.MaxQuestions {
		t.Errorf("%d denials, %d questions", n, asked.Load())
	}
}
