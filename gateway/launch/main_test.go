package launch

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/runs"
	"nacre/test/programs"
)

var bin string

// TestMain builds the programs; inside a sandbox it is the client.
func TestMain(m *testing.M) {
	if what := os.Getenv("NACRE_TEST_CLIENT"); what != "" {
		client(what)
		return
	}
	dir, remove, err := programs.Dir()
	if err != nil {
		panic(err)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// memory is an audit that keeps events.
type memory struct {
	mu     sync.Mutex
	events []nacre.Event
	fail   error
}

func (a *memory) Record(_ context.Context, e nacre.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil && strings.HasPrefix(e.Kind, "network.") {
		return a.fail
	}
	a.events = append(a.events, e)
	return nil
}

// forget drops what was recorded.
func (a *memory) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = nil
}

// find returns the first event of a kind that goes somewhere.
func (a *memory) find(kind, to string) (nacre.Event, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.Kind == kind && strings.Contains(e.Detail["to"], to) {
			return e, true
		}
	}
	return nacre.Event{}, false
}

func (a *memory) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, e := range a.events {
		fmt.Fprintf(&b, "%s %s %s: %s\n", e.Kind, e.Decision, e.Detail["to"], e.Reason)
	}
	return b.String()
}

// refs lists the pushes.
func (a *memory) refs() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, e := range a.events {
		if e.Detail["refs"] != "" {
			fmt.Fprintln(&b, strings.Fields(e.Detail["to"])[0], e.Decision, e.Detail["refs"])
		}
	}
	return b.String()
}

// buffer collects what several streams write at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// world is a machine with servers, and what is needed to run something in it.
type world struct {
	t        testing.TB
	launcher *Launcher
	engine   *native.Engine
	audit    *memory
	plan     nacre.Plan
	opened   Changeable
	in       io.Reader // what the command reads; nil: nothing
	authority
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := runs.Open(os.Geteuid(), filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, audit: &memory{}, authority: newTestAuthority(t)}
	w.launcher = &Launcher{Program: filepath.Join(bin, "nacre-gateway"), Resolvers: []string{"127.0.0.1:1"}, Authorities: w.authority.root}
	w.launcher.Opened = func(c Changeable) { w.opened = c }
	w.engine = &native.Engine{Init: filepath.Join(bin, "nacre-init"), Runs: store, Audit: w.audit, Gateways: w.launcher}
	w.plan = nacre.Plan{
		Version: 1, Workdir: "/home/agent", Image: nacre.Image{Kind: nacre.ImageHost},
		Identity: nacre.Identity{UID: 1000, Hostname: "box"}, Loopback: true,
		Limits: nacre.Limits{Memory: 1 << 30, CPUs: 2, Processes: 256, OpenFiles: 4096,
			Disk: 64 << 20, Output: 16 << 20, Time: time.Minute},
		Environment: []nacre.Variable{{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"}, {Name: "HOME", Value: "/home/agent"}},
	}
	for _, flag := range programs.Tiers() {
		if flag != "--accept" {
			w.plan.Accepted = append(w.plan.Accepted, nacre.Tier(flag))
		}
	}
	return w
}

// grant adds a destination on this machine, under a name.
func (w *world) grant(name string, l net.Listener, change func(*nacre.NetworkGrant)) {
	g := nacre.NetworkGrant{Grant: nacre.Grant{ID: fmt.Sprintf("network.%d", len(w.plan.Network)+1)}, Host: "127.0.0.1", As: name,
		Ports: []int{l.Addr().(*net.TCPAddr).Port}, Scheme: "https", Methods: []string{"GET", "HEAD", "OPTIONS"}, Paths: []string{"/**"}}
	if change != nil {
		change(&g)
	}
	w.plan.Network = append(w.plan.Network, g)
}

// client runs this very program inside.
func (w *world) client(what string, args ...string) string {
	w.t.Helper()
	return w.run(append([]string{w.bring(what)}, args...)...)
}

// bring grants the folder of this very program, for one thing that it is to try, and says
// where it is inside.
func (w *world) bring(what string) string {
	w.t.Helper()
	folder := filepath.Join(programs.Home(w.t), "client")
	if err := os.Mkdir(folder, 0o755); err != nil {
		w.t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "client"), self, 0o755)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.plan.Files = append(w.plan.Files, nacre.FileGrant{Host: folder, Inside: "/work/client", Access: nacre.Read})
	w.plan.Identity.HostFolders = true
	w.plan.Environment = append(w.plan.Environment, nacre.Variable{Name: "NACRE_TEST_CLIENT", Value: what})
	return "/work/client/client"
}

// run runs a command inside and returns what it prints.
func (w *world) run(command ...string) string {
	w.t.Helper()
	out, exit := w.try(command...)
	w.t.Logf("%v: %+v\n%s\n%s", command, exit, out, w.audit)
	return out
}

func (w *world) try(command ...string) (string, nacre.Exit) {
	w.t.Helper()
	box, out := w.start(command...)
	exit, err := box.Wait()
	if err != nil {
		w.t.Fatal(err)
	}
	return out.String(), exit
}

func (w *world) start(command ...string) (nacre.Sandbox, *buffer) {
	w.t.Helper()
	w.plan.Command = command
	w.plan.Digest = compile.Digest(w.plan)
	out := &buffer{}
	box, err := w.engine.Start(context.Background(), w.plan, nacre.Streams{In: w.in, Out: out, Err: out})
	if err != nil {
		w.t.Fatal(err)
	}
	return box, out
}

// authority signs for the servers outside.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	root []byte
}

func newTestAuthority(t testing.TB) (a authority) {
	t.Helper()
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "outside"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, a.key.Public(), a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.root = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// serve starts a TLS server outside for some names.
func (a authority) serve(t testing.TB, h http.Handler, names ...string) net.Listener {
	t.Helper()
	return a.serveUntil(t, h, time.Now().Add(time.Hour), names...)
}

func (a authority) serveUntil(t testing.TB, h http.Handler, end time.Time, names ...string) net.Listener {
	t.Helper()
	l := listen(t)
	s := &http.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{a.certify(t, end, names...)}}, ErrorLog: nil}
	go func() { _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { s.Close() })
	return l
}

// certify makes a server's certificate.
func (a authority) certify(t testing.TB, end time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// plain starts a server without TLS.
func plain(t testing.TB, h http.Handler) net.Listener {
	t.Helper()
	l := listen(t)
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return l
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) string { return fmt.Sprint(l.Addr().(*net.TCPAddr).Port) }

// echo answers with what it was asked.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "echo %s %s %s %s %d\n", r.Proto, r.Method, r.Host, r.RequestURI, len(body))
	_ = r.Header.Write(w)
})
