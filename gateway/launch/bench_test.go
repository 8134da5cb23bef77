package launch

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nacre"
)

// measured is what a client finds out about one way to a server.
type measured struct {
	mbs, perSecond float64
	p50, p99       time.Duration
}

// connections is how many are opened.
const connections = 800

// measure downloads a lot, opens many connections and asks many times, perhaps by way
// of a proxy; with nothing to download, it only opens connections.
func measure(proxy func(*http.Request) (*url.URL, error), url string, pool *x509.CertPool, amount int64) (m measured, err error) {
	fresh := func() *http.Client {
		return &http.Client{Transport: &http.Transport{Proxy: proxy, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	}
	c := fresh()
	begun := time.Now()
	r, err := c.Get(fmt.Sprintf("%s/big?%d", url, amount))
	if err != nil {
		return m, err
	}
	n, err := io.Copy(io.Discard, r.Body)
	r.Body.Close()
	if err != nil || n != amount {
		return m, fmt.Errorf("%d bytes: %w", n, err)
	}
	m.mbs = float64(n) / 1e6 / time.Since(begun).Seconds()
	var all sync.WaitGroup
	const workers = 8
	begun = time.Now()
	for range workers {
		all.Go(func() {
			for range connections / workers {
				one := fresh()
				if r, e := one.Get(url + "/small"); e != nil {
					err = e
				} else {
					_, _ = io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
				one.CloseIdleConnections()
			}
		})
	}
	all.Wait()
	m.perSecond = connections / time.Since(begun).Seconds()
	if amount == 0 {
		return m, err
	}
	var times []time.Duration
	for range 500 {
		begun := time.Now()
		r, e := c.Get(url + "/small")
		if e != nil {
			return m, e
		}
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	m.p50, m.p99 = times[len(times)/2], times[len(times)*99/100]
	return m, err
}

// elsewhere is a listener of another process, and its name server, which says of every
// name that it is there.
type elsewhere struct {
	net.Listener
	port  int
	names string
}

// Addr is where it listens.
func (e elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: e.port} }

// server serves what is downloaded, in a process of its own: this one is the
// supervisor, which is charged to the sandbox.
func (w *world) server(b *testing.B, names ...string) elsewhere {
	b.Helper()
	c := w.certify(b, time.Now().Add(time.Hour), names...)
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		b.Fatal(err)
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	s := exec.Command("/proc/self/exe", written(b, b.TempDir(), "server.pem", string(both)))
	s.Env, s.Stderr = []string{"NACRE_TEST_CLIENT=server"}, os.Stderr
	in, err := s.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = s.Wait() })
	e := elsewhere{}
	if _, err := fmt.Fscan(out, &e.port, &e.names); err != nil {
		b.Fatal(err)
	}
	return e
}

// serveElsewhere is that process.
func serveElsewhere(certificate string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	names, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	six, err := net.Listen("tcp6", "[::1]:"+port(l))
	if err == nil {
		go func() { _ = http.ServeTLS(six, served, certificate, certificate) }()
	}
	go func() { _ = http.ServeTLS(l, served, certificate, certificate) }()
	go named(names, err == nil)
	fmt.Println(port(l), names.LocalAddr())
}

// named answers questions for names.
func named(p net.PacketConn, ipv6 bool) {
	question := make([]byte, 512)
	for {
		n, from, err := p.ReadFrom(question)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(question[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 5}
		switch {
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		case q.Type == dnsmessage.TypeAAAA && ipv6:
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{15: 1}}}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = p.WriteTo(answer, from)
		}
	}
}

// outside measures in a process of its own, as a program inside is one. By which name
// server and which proxy may be empty.
func outside(b *testing.B, url string, roots []byte, amount int64, names, proxy string) measured {
	b.Helper()
	bundle := written(b, b.TempDir(), "bundle", string(roots))
	c := exec.Command("/proc/self/exe", url, fmt.Sprint(amount), bundle, names, proxy)
	c.Env = []string{"NACRE_TEST_CLIENT=measure"}
	out, err := c.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return said(b, string(out))
}

// said is what such a process prints.
func said(b *testing.B, out string) (m measured) {
	b.Helper()
	if _, err := fmt.Sscanf(out, "%f %f %d %d <nil>", &m.mbs, &m.perSecond, &m.p50, &m.p99); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return m
}

// report reports what one way is beside the direct one.
func (m measured) report(b *testing.B, direct measured) {
	b.ReportMetric(m.mbs, "MB/s")
	b.ReportMetric(m.mbs/direct.mbs, "of-direct-MB/s")
	b.ReportMetric(m.perSecond, "conn/s")
	b.ReportMetric(m.perSecond/direct.perSecond, "of-direct-conn/s")
	b.ReportMetric(float64((m.p50 - direct.p50).Microseconds()), "added-p50-µs")
	b.ReportMetric(float64((m.p99 - direct.p99).Microseconds()), "added-p99-µs")
}

// served is what is downloaded.
var served = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	var amount int64 = 100
	if r.URL.Path == "/big" {
		_, _ = fmt.Sscan(r.URL.RawQuery, &amount)
	}
	w.Header().Set("Content-Length", fmt.Sprint(amount))
	piece := make([]byte, 256<<10)
	for ; amount > 0; amount -= int64(len(piece)) {
		if _, err := w.Write(piece[:min(amount, int64(len(piece)))]); err != nil {
			return
		}
	}
})

// BenchmarkGateway compares each way through a gateway with the way beside it,
// one after the other, against the same server on this machine. Each client is a
// process of its own, which looks up the same name for each connection; so is the
// server.
func BenchmarkGateway(b *testing.B) {
	amount := int64(256 << 20)
	for name, change := range map[string]func(*nacre.NetworkGrant){
		"opaque":     func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil },
		"terminated": nil,
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				w := newWorld(b)
				l := w.server(b, "api.test")
				w.grant("api.test", l, change)
				if name == "terminated" {
					w.secret("token", canary, "bearer", "api.test")
				}
				to := "https://api.test:" + port(l)
				direct := outside(b, to, w.authority.root, amount, l.names, "")
				said(b, w.client("measure", to, fmt.Sprint(amount), Bundle, "", "")).report(b, direct)
			}
		})
	}
}

// BenchmarkIdle is what a gateway takes that has nothing to do.
func BenchmarkIdle(b *testing.B) {
	for range b.N {
		w := newWorld(b)
		w.grant("api.test", w.serve(b, served, "api.test"), nil)
		box, _ := w.start("sleep", "60")
		time.Sleep(time.Second)
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", gatewayOf(b)))
		for line := range strings.Lines(string(status)) {
			var kib float64
			if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
				b.ReportMetric(kib/1024, "MiB-resident")
			}
			if n, _ := fmt.Sscanf(line, "RssAnon: %f kB", &kib); n == 1 {
				b.ReportMetric(kib/1024, "MiB-own")
			}
		}
		_ = box.Stop(0)
	}
}

// BenchmarkStart is a run of true with a network beside one without, in turn: the
// median of each, and of how they compare.
func BenchmarkStart(b *testing.B) {
	without, with := newWorld(b), newWorld(b)
	with.grant("api.test", with.serve(b, served, "api.test"), nil)
	var bare, networked, ratio []float64
	for b.Loop() {
		begun := time.Now()
		without.try("true")
		between := time.Now()
		with.try("true")
		one, other := between.Sub(begun).Seconds()*1000, time.Since(between).Seconds()*1000
		bare, networked, ratio = append(bare, one), append(networked, other), append(ratio, other/one)
	}
	for name, list := range map[string][]float64{"ms-without": bare, "ms-with": networked, "×": ratio} {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], name)
		b.ReportMetric(list[len(list)/4], name+"-lower-quarter")
	}
}
