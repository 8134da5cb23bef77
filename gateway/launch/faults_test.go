package launch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/test/programs"
)

// faultClient is what runs inside where something goes wrong.
func faultClient(what string, args []string) {
	switch what {
	case "drip": // address, how many connections that never finish a head, url
		n, _ := strconv.Atoi(args[1])
		var open []net.Conn
		for i := range n {
			c, err := net.Dial("tcp", args[0])
			if err != nil {
				fmt.Println("stopped at", i, err)
				break
			}
			_, _ = io.WriteString(c, []string{"GET / HTTP/1.1\r\nHo", "\x16\x03\x01\x02\x00\x01", "POST / HTTP/1.1\r\nHost: " + args[0] + "\r\nContent-Length: 9\r\n\r\nx", "G"}[i%4])
			open = append(open, c)
		}
		fmt.Println("open", len(open), get(http.DefaultClient, "GET", args[2], ""))
	case "sequence": // url, how many, each on a connection of its own
		n, _ := strconv.Atoi(args[1])
		good := 0
		for range n {
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			if strings.HasPrefix(get(c, "GET", args[0], ""), "200 ") {
				good++
			}
		}
		fmt.Println("good", good)
	case "crowd": // address, how many connections at once, url
		n, _ := strconv.Atoi(args[1])
		crowd(args[0], n, args[2])
	case "halfclose": // address, what to say before nothing more comes
		c, err := net.Dial("tcp", args[0])
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.WriteString(c, args[1])
		_ = c.(*net.TCPConn).CloseWrite()
		said, err := io.ReadAll(c)
		fmt.Printf("said %q %s\n", said, kind(err))
	case "until": // url, how many bytes to read before going away
		r, err := http.Get(args[0])
		if err != nil {
			fmt.Println(err)
			return
		}
		n, _ := strconv.ParseInt(args[1], 10, 64)
		n, err = io.CopyN(io.Discard, r.Body, n)
		r.Body.Close()
		fmt.Println("read", n, err)
	}
}

// crowd makes requests at once that are answered and never end, keeps those that do, and
// asks for something when they are all closed.
func crowd(address string, n int, url string) {
	kinds, open := map[string]int{}, make([]net.Conn, n)
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan int)
	for range 32 {
		all.Go(func() {
			for i := range next {
				c, err := net.Dial("tcp", address)
				if err == nil {
					open[i] = c
					_, _ = io.WriteString(c, "GET /held HTTP/1.1\r\nHost: "+address+"\r\n\r\n")
					_, err = c.Read(make([]byte, 1))
				}
				how := kind(err)
				if how == "closed" { // it was reset before the request was written, which heard of it
					how = "reset"
				}
				mu.Lock()
				kinds[how]++
				mu.Unlock()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	fmt.Println("opened", kinds)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until it was looked at
	for _, c := range open {
		if c != nil {
			c.Close()
		}
	}
	said := ""
	for limit := time.Now().Add(time.Minute); !strings.HasPrefix(said, "200 ") && time.Now().Before(limit); {
		said = get(http.DefaultClient, "GET", url, "")
	}
	fmt.Println("after", said)
}

// script answers each connection by a function of its own.
func script(t *testing.T, answer func(*net.TCPConn, *bufio.Reader)) net.Listener {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := bufio.NewReader(c)
				for line := "x"; line != "\r\n" && line != ""; {
					line, _ = b.ReadString('\n')
				}
				answer(c.(*net.TCPConn), b)
			}()
		}
	}()
	return l
}

// TestUpstreamFaults: whatever a server does, the program inside gets a plain
// error, and the next request is served.
func TestUpstreamFaults(t *testing.T) {
	say := func(text string) func(*net.TCPConn, *bufio.Reader) {
		return func(c *net.TCPConn, _ *bufio.Reader) { _, _ = io.WriteString(c, text) }
	}
	const ok, cut = "HTTP/1.1 200 OK\r\n", "cut short"
	cases := map[string]struct {
		answer func(*net.TCPConn, *bufio.Reader)
		want   string
	}{
		"reset at once": {func(c *net.TCPConn, _ *bufio.Reader) { _ = c.SetLinger(0) }, " 502 "},
		"reset in the body": {func(c *net.TCPConn, _ *bufio.Reader) {
			say(ok+"Content-Length: 9\r\n\r\nx")(c, nil)
			_ = c.SetLinger(0)
		}, cut},
		"nothing":             {say(""), " 502 "},
		"garbage":             {say("\x00\x01\x02\r\n\r\n"), " 502 "},
		"half a head":         {say(ok + "Content-Le"), " 502 "},
		"half a body":         {say(ok + "Content-Length: 9\r\n\r\nx"), cut},
		"half a chunk":        {say(ok + "Transfer-Encoding: chunked\r\n\r\nff\r\nx"), cut},
		"no chunk":            {say(ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nx"), cut},
		"huge chunk":          {say(ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx"), cut},
		"two lengths":         {say(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), " 502 "},
		"length and chunks":   {say(ok + "Content-Length: 100\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n"), " 200 x"},
		"no status":           {say("HTTP/1.1 abc OK\r\n\r\n"), " 502 "},
		"status 999":          {say("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"), " 999 "},
		"header bomb":         {say(ok + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 1000) + "\r\n"), " 502 "},
		"trailer bomb":        {say(ok + "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 2000) + "\r\n"), cut},
		"provisional bomb":    {say(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 1000)), " 502 "},
		"a switch unasked":    {say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), " 502 "},
		"a second answer":     {say(ok + "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"), " 200 x"},
		"folded header":       {say(ok + "X: a\r\n b\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"), " 200 x"},
		"no TLS though https": {nil, " 502 "},
	}
	w := newWorld(t)
	good := plain(t, echo)
	http1 := func(g *nacre.NetworkGrant) { g.Scheme = "http" }
	w.grant("good.test", good, http1)
	var args, names []string
	for name, c := range cases {
		host := strings.ReplaceAll(strings.ToLower(name), " ", "-") + ".test"
		l, scheme := script(t, c.answer), "http"
		if name == "no TLS though https" {
			l, scheme = listen(t), "https"
			go speak(l, "SSH-2.0-x\r\n")
			w.grant(host, l, nil)
		} else {
			w.grant(host, l, http1)
		}
		names = append(names, name)
		args = append(args, scheme+"://"+host+":"+port(l)+"/", "http://good.test:"+port(good)+"/after")
	}
	out := w.client("get", args...)
	if n := strings.Count(out, "/after 200 echo"); n != len(cases) {
		t.Errorf("%d requests of %d are served after a fault", n, len(cases))
	}
	for i, name := range names {
		if c := cases[name]; c.want != cut {
			has(t, out, args[2*i]+c.want)
		} else if !strings.Contains(out, args[2*i]+" unexpected EOF\n") && !strings.Contains(out, args[2*i]+" closed\n") {
			t.Errorf("%s: what is cut short seems whole", name)
		}
		if i := strings.Index(out, "poison"); i >= 0 {
			t.Errorf("a second answer was passed on")
		}
	}
}

// TestCertificatesOutside: each that is not the host's own, now, is refused.
func TestCertificatesOutside(t *testing.T) {
	w := newWorld(t)
	for name, l := range map[string]net.Listener{
		"expired.test": w.serveUntil(t, echo, time.Now().Add(-time.Minute), "expired.test"),
		"wrong.test":   w.serve(t, echo, "other.test"),
		"self.test":    selfSigned(t, "self.test", time.Now().Add(-time.Hour)),
		"early.test":   w.leaf(t, "early.test", time.Now().Add(time.Hour)),
	} {
		w.grant(name, l, nil)
	}
	var urls []string
	for _, g := range w.plan.Network {
		urls = append(urls, fmt.Sprintf("https://%s:%d/", g.As, g.Ports[0]))
	}
	out := w.client("get", urls...)
	if strings.Count(out, " 502 ") != len(urls) || strings.Contains(out, "echo") {
		t.Errorf("each is to be refused:\n%s", out)
	}
	has(t, out, "expired or is not yet valid", "valid for another name", "unknown authority")
}

// TestGoneInside: when a program goes away, so does its request outside, though the
// server never ends.
func TestGoneInside(t *testing.T) {
	ended := make(chan string, 2)
	l := plain(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for piece := bytes.Repeat([]byte("x"), 1<<16); r.URL.Path == "/endless"; {
			if _, err := rw.Write(piece); err != nil {
				break
			}
		}
		<-r.Context().Done()
		ended <- r.URL.Path
	}))
	w := newWorld(t)
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	has(t, w.run("sh", "-c", "curl -sS -m 2 http://api.test:"+port(l)+"/silent; curl -sS http://api.test:"+port(l)+"/endless | head -c 1000000 | wc -c"), "1000000")
	for range 2 {
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("the request outside goes on")
		}
	}
}

// TestHalfClosed: what comes after the last word of a program still arrives.
func TestHalfClosed(t *testing.T) {
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				said, _ := io.ReadAll(c) // until nothing more comes
				fmt.Fprintf(c, "heard %d", len(said))
				c.Close()
			}()
		}
	}()
	w := newWorld(t)
	w.grant("db.test", l, func(g *nacre.NetworkGrant) { g.Scheme, g.Methods, g.Paths = "tcp", nil, nil })
	has(t, w.client("halfclose", "db.test:"+port(l), "hello"), `said "heard 5" answered`)
}

// TestCompressedBomb: what grows a thousandfold passes as it is, where nobody has to
// look into it; the gateway unpacks nothing.
func TestCompressedBomb(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(z, zero{}, 1<<28)
	z.Close()
	l := plain(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Encoding", "gzip")
		_, _ = rw.Write(bomb.Bytes())
	}))
	w := newWorld(t)
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	has(t, w.run("sh", "-c", "curl -sS http://api.test:"+port(l)+"/ | wc -c"), fmt.Sprint(bomb.Len()))
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestGatewayKilledMidStream: the stream ends with an error, the program goes on.
func TestGatewayKilledMidStream(t *testing.T) {
	var streams atomic.Int64
	l := plain(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		streams.Add(1)
		for r.Context().Err() == nil {
			fmt.Fprintln(rw, "piece")
			rw.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}))
	w := newWorld(t)
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	box, out := w.start("sh", "-c", "curl -sSN http://api.test:"+port(l)+"/; echo ended with $?; touch /home/agent/x && echo still here; exit 7")
	for limit := time.Now().Add(20 * time.Second); !strings.Contains(out.String(), "piece") && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	if err := unix.Kill(gatewayOf(t), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit, err := box.Wait(); err != nil || exit.Code != 7 {
		t.Errorf("%+v %v", exit, err)
	}
	has(t, out.String(), "piece\n", "ended with ", "still here")
	if strings.Contains(out.String(), "ended with 0") {
		t.Error("the stream seems whole")
	}
	has(t, w.audit.String(), "gateway.lost deny")
}

// TestSlowLoris: connections that never say what they want hold up nobody else.
func TestSlowLoris(t *testing.T) {
	w := newWorld(t)
	l := plain(t, echo)
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	out := w.client("drip", "api.test:"+port(l), "1000", "http://api.test:"+port(l)+"/after")
	has(t, out, "open 1000 200 echo", "/after")
}

// TestManyInSequence: ten thousand connections, one after the other, leave nothing
// behind in the gateway.
func TestManyInSequence(t *testing.T) {
	w := newWorld(t)
	w.plan.Limits.Time = 5 * time.Minute
	l := plain(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "ok") }))
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	n := 10000
	if testing.Short() {
		n = 500
	}
	has(t, w.client("sequence", "http://api.test:"+port(l)+"/", fmt.Sprint(n)), fmt.Sprint("good ", n))
}

// TestTenThousandAtOnce: of ten thousand connections that are open at once, as many are
// served as a sandbox may have, and every other is reset; then it goes on.
func TestTenThousandAtOnce(t *testing.T) {
	const n, bound = 10000, 8192
	if testing.Short() {
		t.Skip("needs some time: not with -short")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < 2*n {
		t.Skipf("needs %d descriptors: %d may be open", 2*n, limit.Max)
	}
	held := plain(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	w := newWorld(t)
	w.plan.Limits.OpenFiles, w.plan.Limits.Time = 2*n, 10*time.Minute
	w.plan.Limits.Memory = 8 << 30 // this process is charged too, and large under the race detector
	l := plain(t, echo)
	w.grant("held.test", held, func(g *nacre.NetworkGrant) { g.Scheme, g.Connections = "http", 2*n })
	w.grant("api.test", l, func(g *nacre.NetworkGrant) { g.Scheme = "http" })
	inside, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	w.in = inside
	box, out := w.start(w.bring("crowd"), "held.test:"+port(held), fmt.Sprint(n), "http://api.test:"+port(l)+"/after")
	ended := make(chan error, 1)
	go func() {
		_, err := box.Wait()
		ended <- err
	}()
	for !strings.Contains(out.String(), "opened ") {
		select {
		case err = <-ended:
			t.Fatalf("it ended: %v\n%s", err, out)
		case <-time.After(10 * time.Millisecond):
		}
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", gatewayOf(t)))
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			t.Logf("the gateway, with %d connections: %s", bound, line)
		}
	}
	tell.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	has(t, out.String(), fmt.Sprintf("opened map[answered:%d reset:%d]", bound, n-bound), "after 200 echo", "/after")
	if t.Failed() {
		t.Logf("%s", w.audit)
	}
}

// certificate is a server's, valid for a time.
func (a authority) certificate(t *testing.T, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

// leaf serves with a certificate that is valid from a time on.
func (a authority) leaf(t *testing.T, name string, from time.Time) net.Listener {
	t.Helper()
	return serveWith(t, a.certificate(t, name, from, from.Add(time.Hour)))
}

// selfSigned serves with a certificate that nobody vouches for.
func selfSigned(t *testing.T, name string, from time.Time) net.Listener {
	t.Helper()
	return serveWith(t, newTestAuthority(t).certificate(t, name, from, from.Add(24*time.Hour)))
}

func serveWith(t *testing.T, c tls.Certificate) net.Listener {
	t.Helper()
	l := listen(t)
	s := &http.Server{Handler: echo, TLSConfig: &tls.Config{Certificates: []tls.Certificate{c}}}
	go func() { _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { s.Close() })
	return l
}

// TestPinned: a program that trusts one authority only, and a server that asks for a
// certificate of the program's, fail at once; the record says of the first why.
func TestPinned(t *testing.T) {
	programs.Needs(t, "curl")
	w := newWorld(t)
	l := w.serve(t, echo, "pinned.test")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"personal.test"}}
	der, err := x509.CreateCertificate(rand.Reader, c, w.cert, key.Public(), w.key)
	if err != nil {
		t.Fatal(err)
	}
	asks := listen(t)
	s := &http.Server{Handler: echo, TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequireAnyClientCert}, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.ServeTLS(asks, "", "") }()
	t.Cleanup(func() { s.Close() })
	w.grant("pinned.test", l, nil)
	w.grant("personal.test", asks, nil)
	w.plan.Environment = append(w.plan.Environment, nacre.Variable{Name: "PIN", Value: string(w.authority.root)})
	out := w.run("sh", "-c", `printf '%s' "$PIN" > /tmp/pin.pem; curl -sS --cacert /tmp/pin.pem --capath /nowhere https://pinned.test:`+port(l)+`/ 2>&1; curl -sS https://personal.test:`+port(asks)+`/`)
	has(t, out, "certificate", "this is allowed, and the other side cannot be reached")
	if strings.Contains(out, "echo ") {
		t.Errorf("something was reached:\n%s", out)
	}
	if e, ok := w.audit.find("network.connect", "https://pinned.test:"+port(l)); !ok || e.Rule != "tls" || !strings.Contains(e.Reason, "handshake with the program inside failed") {
		t.Errorf("the record: %+v", e)
	}
}
