package launch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"nacre"
)

// BenchmarkConnections is what connections that nothing looks into take of the
// processors' time in a gateway: unlike how many there are in a second, that says
// something on a busy machine too.
func BenchmarkConnections(b *testing.B) {
	for range b.N {
		w := newWorld(b)
		l := w.server(b, "api.test")
		w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil })
		to := "https://api.test:" + port(l)
		box, out := w.start("/bin/sh", "-c", w.bring("measure")+` "$@"; sleep 60`, "measure", to, "0", Bundle, "", "")
		gateway := gatewayOf(b)
		begun := spent(b, gateway)
		for !strings.Contains(out.String(), "\n") {
			time.Sleep(10 * time.Millisecond)
		}
		took := spent(b, gateway) - begun
		if m := said(b, out.String()); m.perSecond > 0 {
			b.ReportMetric(float64(took.Microseconds())/connections, "µs/connection")
		}
		_ = box.Stop(0)
	}
}

// spent is what a process took of the processors' time.
func spent(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	user, system := 0, 0 // fields 14 and 15, in hundredths of a second
	if _, err := fmt.Sscan(strings.Join(strings.Fields(rest)[11:13], " "), &user, &system); err != nil {
		b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
