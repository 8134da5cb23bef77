package launch

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkPeer compares a proxy of Debian's with the way beside it, against the
// same server: it passes TLS on unread, as tls: opaque does.
func BenchmarkPeer(b *testing.B) {
	program, err := exec.LookPath("tinyproxy")
	if err != nil {
		b.Skip("needs tinyproxy")
	}
	free := listen(b)
	at := port(free)
	free.Close()
	config := filepath.Join(b.TempDir(), "tinyproxy.conf")
	if err := os.WriteFile(config, []byte("Port "+at+"\nListen 127.0.0.1\nTimeout 60\nMaxClients 200\nLogLevel Critical\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	proxy := exec.Command(program, "-d", "-c", config)
	if err := proxy.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = proxy.Process.Kill(); _ = proxy.Wait() }()
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+at); err == nil {
			c.Close()
			break
		}
	}
	w := newWorld(b)
	l := w.serve(b, served, "api.test", "127.0.0.1")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.authority.root)
	to := "https://" + net.JoinHostPort("127.0.0.1", port(l))
	by := func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "127.0.0.1:" + at}, nil }
	b.ResetTimer()
	for range b.N {
		direct, err := measure(to, pool, 256<<20)
		if err != nil {
			b.Fatal(err)
		}
		m, err := measureBy(by, to, pool, 256<<20)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(m.mbs, "MB/s")
		b.ReportMetric(m.mbs/direct.mbs, "of-direct-MB/s")
		b.ReportMetric(m.perSecond, "conn/s")
		b.ReportMetric(m.perSecond/direct.perSecond, "of-direct-conn/s")
		b.ReportMetric(float64((m.p50 - direct.p50).Microseconds()), "added-p50-µs")
		b.ReportMetric(float64((m.p99 - direct.p99).Microseconds()), "added-p99-µs")
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", proxy.Process.Pid)); err == nil {
		b.ReportMetric(resident(string(status)), "MiB-resident")
	}
}

// resident is what a process takes, in MiB, as its status says.
func resident(status string) float64 {
	var kib float64
	for line := range strings.Lines(status) {
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}
