package launch

import (
	"net/http"
	"sync/atomic"
	"testing"

	"nacre"
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
