package launch

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peer is a proxy of Debian's: its program, and how it is started at a port, trusting
// an authority outside and, where it looks into TLS, with one to sign with inside.
type peer struct {
	program string
	debian  string
	start   func(b *testing.B, program, at string, outside, inside authority) *exec.Cmd
}

// BenchmarkPeer compares proxies of Debian's with the way beside them, against the
// same server: tinyproxy passes TLS on unread, as tls: opaque does, and squid looks
// into it.
func BenchmarkPeer(b *testing.B) {
	for name, p := range map[string]peer{"tinyproxy": {"tinyproxy", "tinyproxy", tinyproxy}, "squid": {"/usr/sbin/squid", "squid-openssl", squid}} {
		b.Run(name, func(b *testing.B) {
			program, err := exec.LookPath(p.program)
			if err != nil {
				b.Skip("needs Debian's " + p.debian)
			}
			p.measure(b, program)
		})
	}
}

func (p peer) measure(b *testing.B, program string) {
	free := listen(b)
	at := port(free)
	free.Close()
	w, inside := newWorld(b), newTestAuthority(b)
	proxy := p.start(b, program, at, w.authority, inside)
	if err := proxy.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = proxy.Process.Kill(); _ = proxy.Wait() }()
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+at); err == nil {
			c.Close()
			break
		}
	}
	l := w.server(b, "localhost")
	roots := append(bytes.Clone(w.authority.root), inside.root...)
	to := "https://localhost:" + port(l) // squid makes no certificates for addresses
	b.ResetTimer()
	for range b.N {
		direct := outside(b, to, roots, 256<<20, "", "")
		outside(b, to, roots, 256<<20, "", "127.0.0.1:"+at).report(b, direct)
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", proxy.Process.Pid)); err == nil {
		b.ReportMetric(resident(string(status)), "MiB-resident")
	}
}

func tinyproxy(b *testing.B, program, at string, _, _ authority) *exec.Cmd {
	config := written(b, b.TempDir(), "tinyproxy.conf", "Port "+at+"\nListen 127.0.0.1\nTimeout 60\nMaxClients 200\nLogLevel Critical\n")
	return exec.Command(program, "-d", "-c", config)
}

// squid ends TLS, as the gateway does, with a certificate for each name. As root it
// becomes the user that Debian has for it.
func squid(b *testing.B, program, at string, outside, inside authority) *exec.Cmd {
	dir, err := os.MkdirTemp("", "nacre-squid")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	key, err := x509.MarshalPKCS8PrivateKey(inside.key)
	if err != nil {
		b.Fatal(err)
	}
	written(b, dir, "outside.pem", string(outside.root))
	written(b, dir, "inside.pem", string(inside.root)+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	made := filepath.Join(dir, "made")
	if out, err := exec.Command("/usr/lib/squid/security_file_certgen", "-c", "-s", made, "-M", "4MB").CombinedOutput(); err != nil {
		b.Skipf("needs Debian's squid-openssl: %v %s", err, out)
	}
	config := written(b, dir, "squid.conf", strings.NewReplacer("DIR", dir, "PORT", at).Replace(`http_port 127.0.0.1:PORT ssl-bump tls-cert=DIR/inside.pem generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
sslcrtd_program /usr/lib/squid/security_file_certgen -s DIR/made -M 4MB
tls_outgoing_options cafile=DIR/outside.pem
ssl_bump bump all
acl SSL_ports port 1-65535
http_access allow all
cache deny all
access_log none
cache_log /dev/null
cache_store_log none
pid_filename none
coredump_dir DIR
shutdown_lifetime 0 seconds
`))
	if theirs, err := user.Lookup("proxy"); err == nil && os.Geteuid() == 0 {
		uid, _ := strconv.Atoi(theirs.Uid)
		gid, _ := strconv.Atoi(theirs.Gid)
		_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error { return os.Lchown(path, uid, gid) })
	}
	return exec.Command(program, "-N", "-f", config)
}

func written(b *testing.B, dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
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
