package launch

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre"
)

// measured is what a client finds out about one way to a server.
type measured struct {
	mbs, perSecond float64
	p50, p99       time.Duration
}

// measure downloads a lot, opens many connections and asks many times.
func measure(url string, pool *x509.CertPool, amount int64) (measured, error) {
	return measureBy(nil, url, pool, amount)
}

// measureBy does so by way of a proxy.
func measureBy(proxy func(*http.Request) (*url.URL, error), url string, pool *x509.CertPool, amount int64) (m measured, err error) {
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
	const workers, each = 8, 40
	begun = time.Now()
	for range workers {
		all.Go(func() {
			for range each {
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
	m.perSecond = workers * each / time.Since(begun).Seconds()
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
// one after the other, against the same server on this machine.
func BenchmarkGateway(b *testing.B) {
	amount := int64(256 << 20)
	for name, change := range map[string]func(*nacre.NetworkGrant){
		"opaque":     func(g *nacre.NetworkGrant) { g.TLS, g.Methods, g.Paths = "opaque", nil, nil },
		"terminated": nil,
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				w := newWorld(b)
				l := w.serve(b, served, "api.test", "127.0.0.1")
				w.grant("api.test", l, change)
				if name == "terminated" {
					w.secret("token", canary, "bearer", "api.test")
				}
				pool := x509.NewCertPool()
				pool.AppendCertsFromPEM(w.authority.root)
				direct, err := measure("https://"+net.JoinHostPort("127.0.0.1", port(l)), pool, amount)
				if err != nil {
					b.Fatal(err)
				}
				out := w.client("measure", "https://api.test:"+port(l), fmt.Sprint(amount), fmt.Sprint(os.Getpid()))
				var m measured
				if _, err := fmt.Sscanf(out, "%f %f %d %d", &m.mbs, &m.perSecond, &m.p50, &m.p99); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				b.ReportMetric(m.mbs, "MB/s")
				b.ReportMetric(m.mbs/direct.mbs, "of-direct-MB/s")
				b.ReportMetric(m.perSecond, "conn/s")
				b.ReportMetric(m.perSecond/direct.perSecond, "of-direct-conn/s")
				b.ReportMetric(float64((m.p50 - direct.p50).Microseconds()), "added-p50-µs")
				b.ReportMetric(float64((m.p99 - direct.p99).Microseconds()), "added-p99-µs")
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
