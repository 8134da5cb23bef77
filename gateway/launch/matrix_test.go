package launch

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nacre"
)

// What each client says of itself.
const (
	pyRequests = `import requests, sys; r = requests.post(sys.argv[1], data="abc", stream=True); print(r.status_code, next(r.iter_content(9999)).decode())`
	pyHTTPX    = `import httpx, sys
with httpx.Client(http2=True) as c:
    r = c.get(sys.argv[1]); print(r.http_version, r.text)`
	pyAiohttp = `
import aiohttp, asyncio, sys
async def main():
    async with aiohttp.ClientSession() as s:
        async with s.get(sys.argv[1]) as r: print(await r.text())
asyncio.run(main())`
	pyGRPC = `
import grpc, os, sys
roots = open(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"], "rb").read()
with grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(roots)) as c:
    same = lambda b: b
    print(c.unary_unary("/test.Echo/Say", same, same)(b"hello").decode())
    print(b" ".join(c.unary_stream("/test.Echo/Stream", same, same)(b"many")).decode())
    try:
        c.unary_unary("/test.Other/Say", same, same)(b"x"); print("a denied call went through")
    except grpc.RpcError as e: print("denied:", e.code().name)`
	pyWebSockets = `
import asyncio, ssl, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], ssl=ssl.create_default_context()) as s:
        await s.send("hello"); print(await s.recv())
asyncio.run(main())`
	nodeHTTP2 = `
const c = require("http2").connect(process.argv[1]), r = c.request({":path": "/x"});
r.setEncoding("utf8"); let all = ""; r.on("data", d => all += d); r.on("end", () => { console.log(all); c.close() }); c.on("error", e => { console.log("failed", e); process.exit(1) }); r.end()`
	nodeWebSocket = `
const s = new WebSocket(process.argv[1]); s.onopen = () => s.send("hello"); s.onmessage = m => { console.log(m.data); s.close() }; s.onerror = e => console.log("failed", e.message)`
	nodeUndici = `require("undici").request(process.argv[1]).then(r => r.body.text()).then(t => console.log(t), e => { console.log("failed", e); process.exit(1) })`
	nodeHTTPS  = `require("https").get(process.argv[1], r => { r.on("data", d => process.stdout.write(d)) }).on("error", e => { console.log("failed", e); process.exit(1) })`
)

// TestMoreClients: the programs that people have, with what they bring along.
func TestMoreClients(t *testing.T) {
	for name, c := range map[string]struct {
		command []string
		needs   string // a module of Python's
		want    string
	}{
		"python requests":   {[]string{"/usr/bin/python3", "-c", pyRequests, "{URL}"}, "requests", "echo HTTP/1.1 POST api.test:{PORT} /x 3"},
		"python httpx":      {[]string{"/usr/bin/python3", "-c", pyHTTPX, "{URL}"}, "httpx, h2", "HTTP/2 echo HTTP/2.0 GET"},
		"python aiohttp":    {[]string{"/usr/bin/python3", "-c", pyAiohttp, "{URL}"}, "aiohttp", "echo HTTP/1.1 GET api.test:{PORT} /x"},
		"python gRPC":       {[]string{"/usr/bin/python3", "-c", pyGRPC, "{AT}"}, "grpc", "you said hello\n"},
		"python websockets": {[]string{"/usr/bin/python3", "-c", pyWebSockets, "wss://{AT}/chat"}, "websockets", "you said hello"},
		"node WebSocket":    {[]string{"node", "--experimental-websocket", "-e", nodeWebSocket, "wss://{AT}/chat"}, "", "you said hello"},
		"node http2":        {[]string{"node", "-e", nodeHTTP2, "https://{AT}"}, "", ""},
		"node https":        {[]string{"node", "-e", nodeHTTPS, "{URL}"}, "", "echo HTTP/1.1 GET api.test:{PORT} /x"},
		"node undici":       {[]string{"env", "NODE_PATH=/usr/share/nodejs", "node", "-e", nodeUndici, "{URL}"}, "", "echo HTTP/1.1 GET api.test:{PORT} /x"},
		"curl, a download":  {[]string{"curl", "-sS", "-o", "/dev/null", "-w", "%{http_version} %{size_download}", "https://{AT}/big"}, "", "2 10000000"},
		"curl, an upload":   {[]string{"sh", "-c", "head -c 5000000 /dev/zero | curl -sS -T - https://{AT}/x | head -1"}, "", "echo HTTP/2.0 PUT api.test:{PORT} /x 5000000"},
		"curl, continued":   {[]string{"curl", "-sS", "--http1.1", "-H", "Expect: 100-continue", "-d", "abc", "{URL}"}, "", "POST api.test:{PORT} /x 3"},
		"curl, head":        {[]string{"curl", "-sSI", "{URL}"}, "", "HTTP/2 200"},
		"wget, a download":  {[]string{"sh", "-c", "wget -qO- https://{AT}/big | wc -c"}, "", "10000000"},
		"dig":               {[]string{"dig", "+short", "api.test"}, "", "198.1"},
		"dig, TCP":          {[]string{"dig", "+tcp", "+short", "AAAA", "api.test"}, "", "fd6e:6163:7265"},
		"dig, another name": {[]string{"dig", "evil.test"}, "", "status: REFUSED"},
	} {
		t.Run(name, func(t *testing.T) {
			program := c.command[0]
			if path, err := exec.LookPath(program); err != nil || !strings.HasPrefix(path, "/usr/") && program != "sh" {
				t.Skipf("needs %s among the system's programs", program)
			}
			if c.needs != "" && exec.Command("/usr/bin/python3", "-c", "import "+c.needs).Run() != nil {
				t.Skipf("needs Debian's python3-%s", c.needs)
			}
			if name == "node WebSocket" && exec.Command("node", "--experimental-websocket", "-e", "WebSocket").Run() != nil {
				t.Skip("needs node with a WebSocket of its own (20 or newer)")
			}
			if name == "node undici" && exec.Command("env", "NODE_PATH=/usr/share/nodejs", "node", "-e", `require("undici")`).Run() != nil {
				t.Skip("needs Debian's node-undici")
			}
			w := newWorld(t)
			w.plan.Limits.Processes = 512
			l := w.serve(t, everything, "api.test")
			w.grant("api.test", l, func(g *nacre.NetworkGrant) {
				g.Methods, g.Upgrade = []string{"GET", "HEAD", "POST", "PUT"}, []string{"websocket"}
				g.Paths = []string{"/x", "/big", "/chat", "/test.Echo/*"}
			})
			fill := strings.NewReplacer("{URL}", "https://api.test:"+port(l)+"/x", "{AT}", "api.test:"+port(l), "{PORT}", port(l))
			var command []string
			for _, word := range c.command {
				command = append(command, fill.Replace(word))
			}
			out := w.run(command...)
			if c.want == "" {
				c.want = "echo HTTP/2.0 GET api.test:{PORT} /x"
			}
			has(t, out, fill.Replace(c.want))
			if c.needs == "grpc" {
				has(t, out, "many many many", "denied: PERMISSION_DENIED")
			}
		})
	}
}

// everything is a server of many kinds.
var everything = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/big":
		rw.Header().Set("Content-Length", "10000000")
		_, _ = io.CopyN(rw, zero{}, 10000000)
	case r.URL.Path == "/chat":
		chat(rw, r)
	case r.Header.Get("Content-Type") == "application/grpc":
		remote(rw, r)
	default:
		echo(rw, r)
	}
})

// remote answers a call of gRPC with what it was given: messages with a flag and a
// length before them, and a status in the trailer.
func remote(rw http.ResponseWriter, r *http.Request) {
	message := func(text string) {
		_, _ = rw.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(text))), text...))
		rw.(http.Flusher).Flush()
	}
	rw.Header().Set("Content-Type", "application/grpc")
	rw.Header().Set("Trailer", "Grpc-Status")
	body, _ := io.ReadAll(r.Body)
	said := string(body[min(5, len(body)):])
	if r.URL.Path == "/test.Echo/Stream" {
		for range 3 {
			message(said)
		}
	} else {
		message("you said " + said)
	}
	rw.Header().Set("Grpc-Status", "0")
}

// chat changes to WebSocket (RFC 6455) and answers one message.
func chat(rw http.ResponseWriter, r *http.Request) {
	c, b, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	said, err := frame(b.Reader)
	if err != nil {
		return
	}
	text := "you said " + said
	_, _ = c.Write(append([]byte{0x81, byte(len(text))}, text...))
	_, _ = frame(b.Reader) // the end
	_, _ = c.Write([]byte{0x88, 0})
}

// frame reads a short, masked message.
func frame(b *bufio.Reader) (string, error) {
	head := make([]byte, 6)
	if _, err := io.ReadFull(b, head); err != nil {
		return "", err
	}
	text := make([]byte, head[1]&0x7f)
	_, err := io.ReadFull(b, text)
	for i := range text {
		text[i] ^= head[2+i%4]
	}
	return string(text), err
}

// TestNPM: a package is installed from a registry, a scoped one too, and nothing is
// published.
func TestNPM(t *testing.T) {
	if path, err := exec.LookPath("npm"); err != nil || !strings.HasPrefix(path, "/usr/") {
		t.Skip("needs npm among the system's programs")
	}
	tarball := packed(t, map[string]string{"package/package.json": `{"name":"pearl","version":"1.0.0","main":"x.js"}`, "package/x.js": `module.exports = "installed"`})
	sum := sha512.Sum512(tarball)
	w := newWorld(t)
	w.plan.Limits.Processes, w.plan.Limits.Disk = 512, 256<<20
	var at string
	l := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			_, _ = rw.Write(tarball)
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		fmt.Fprintf(rw, `{"name":%q,"dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":%q,"version":"1.0.0","main":"x.js","dist":{"tarball":"%s/%s/-/x-1.0.0.tgz","integrity":"sha512-%s"}}}}`,
			name, name, at, name, base64.StdEncoding.EncodeToString(sum[:]))
	}), "npm.test")
	at = "https://npm.test:" + port(l)
	w.grant("npm.test", l, func(g *nacre.NetworkGrant) { g.Methods = []string{"GET", "HEAD"} })
	out := w.run("sh", "-c", `cd /tmp && mkdir p && cd p && echo '{"name":"a","version":"2.0.0"}' > package.json && npm install --no-audit --no-fund --registry `+at+` pearl @sea/pearl &&
		node -p 'require("pearl") + " and " + require("@sea/pearl")'; npm publish --registry `+at+` --//npm.test:`+port(l)+`/:_authToken=x || echo not published`)
	has(t, out, "installed and installed", "not published")
	if e, ok := w.audit.find("network.request", "PUT "+at); !ok || e.Decision == nacre.Allow {
		t.Error("the record does not name the denied publication")
	}
}

// TestPip: a package comes from an index over TLS, as pip is; nothing else of the index's
// host does.
func TestPip(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-m", "pip", "--version").Run() != nil {
		t.Skip("needs Debian's python3-pip")
	}
	wheel := zipped(t, map[string]string{"pearl.py": `print("installed")`, "pearl-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: pearl\nVersion: 1.0\n",
		"pearl-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", "pearl-1.0.dist-info/RECORD": ""})
	const file = "pearl-1.0-py3-none-any.whl"
	w := newWorld(t)
	w.plan.Limits.Processes, w.plan.Limits.Disk, w.plan.Limits.Time = 512, 256<<20, 5*time.Minute
	l := w.serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/files/"+file {
			_, _ = rw.Write(wheel)
			return
		}
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<!DOCTYPE html><html><body><a href="/files/%s#sha256=%x">%s</a></body></html>`, file, sha256.Sum256(wheel), file)
	}), "pypi.test")
	w.grant("pypi.test", l, func(g *nacre.NetworkGrant) {
		g.Methods, g.Paths = []string{"GET", "HEAD"}, []string{"/simple/pearl/", "/files/*"}
	})
	pip := "/usr/bin/python3 -m pip --disable-pip-version-check --no-cache-dir --retries 0 download --no-deps -i https://pypi.test:" + port(l) + "/simple -d /tmp/got "
	out := w.run("sh", "-c", pip+"pearl && PYTHONPATH=/tmp/got/"+file+" /usr/bin/python3 -m pearl; "+pip+"other || echo not there")
	has(t, out, "installed\n", "not there")
	if e, ok := w.audit.find("network.request", "/simple/other/"); !ok || e.Decision == nacre.Allow {
		t.Error("the record does not name what is denied")
	}
}

// zipped is an archive of files.
func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		f, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	z.Close()
	return b.Bytes()
}

// packed is a compressed archive of files.
func packed(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	a := tar.NewWriter(z)
	for name, text := range files {
		if err := a.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(a, text)
	}
	a.Close()
	z.Close()
	return b.Bytes()
}
