package launch

import (
	"os/exec"
	"strings"
	"testing"

	"nacre"
)

// node and python and java ask with what these languages have by themselves.
const (
	nodeFetch = `fetch(process.argv[1]).then(r => r.text()).then(t => console.log(t), e => { console.log("failed", e, e.cause); process.exit(1) })`
	pyUrllib  = `import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())`
	pyAsyncio = `
import asyncio, ssl, sys
async def main(host, port):
    r, w = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    w.write(f"GET /x HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    print((await r.read()).decode())
asyncio.run(main(sys.argv[1], int(sys.argv[2])))`
	java = `
import java.net.URI; import java.net.http.*;
class Get { public static void main(String[] a) throws Exception {
  var c = HttpClient.newHttpClient();
  System.out.println(c.send(HttpRequest.newBuilder(URI.create(a[0])).build(), HttpResponse.BodyHandlers.ofString()).body());
}}`
)

// TestClients: real programs, as they are, reach what is granted, in their own version
// of HTTP where the server speaks it.
func TestClients(t *testing.T) {
	for name, c := range map[string]struct {
		command []string // {URL}, {HOST}, {PORT} stand for where to go
		proto   string
	}{
		"curl":           {[]string{"curl", "-sS", "{URL}"}, "HTTP/2.0"},
		"curl, http/1.1": {[]string{"curl", "-sS", "--http1.1", "{URL}"}, "HTTP/1.1"}, // outside it is as inside
		"curl, IPv4":     {[]string{"curl", "-sS4", "{URL}"}, "HTTP/2.0"},
		"curl, IPv6":     {[]string{"curl", "-sS6", "{URL}"}, "HTTP/2.0"},
		"wget":           {[]string{"wget", "-qO-", "{URL}"}, "HTTP/1.1"},
		"python urllib":  {[]string{"/usr/bin/python3", "-c", pyUrllib, "{URL}"}, "HTTP/1.1"},
		"python asyncio": {[]string{"/usr/bin/python3", "-c", pyAsyncio, "{HOST}", "{PORT}"}, "HTTP/1.1"},
		"node fetch":     {[]string{"node", "-e", nodeFetch, "{URL}"}, "HTTP/1.1"},
		"perl":           {[]string{"perl", "-MHTTP::Tiny", "-e", `print HTTP::Tiny->new(verify_SSL => 1)->get($ARGV[0])->{content}`, "{URL}"}, "HTTP/1.1"},
		"java":           {[]string{"java", "/tmp/Get.java", "{URL}"}, "HTTP/2.0"},
		"openssl":        {[]string{"sh", "-c", `printf 'GET /x HTTP/1.1\r\nHost: {HOST}:{PORT}\r\nConnection: close\r\n\r\n' | openssl s_client -quiet -verify_return_error -servername {HOST} -connect {HOST}:{PORT} 2>&1`}, "HTTP/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			program := c.command[0]
			if name == "openssl" {
				program = "openssl"
			}
			path, err := exec.LookPath(program)
			if err != nil || !strings.HasPrefix(path, "/usr/") {
				t.Skipf("needs %s among the system's programs", program)
			}
			if name == "perl" && exec.Command("perl", "-MIO::Socket::SSL", "-e1").Run() != nil {
				t.Skip("needs IO::Socket::SSL for perl")
			}
			w := newWorld(t)
			w.plan.Limits.Processes = 512
			l := w.serve(t, echo, "api.test")
			w.grant("api.test", l, nil)
			fill := strings.NewReplacer("{URL}", "https://api.test:"+port(l)+"/x", "{HOST}", "api.test", "{PORT}", port(l))
			var command []string
			for _, word := range c.command {
				command = append(command, fill.Replace(word))
			}
			if name == "java" {
				w.plan.Environment = append(w.plan.Environment, nacre.Variable{Name: "SOURCE", Value: java})
				command = []string{"sh", "-c", `printf '%s' "$SOURCE" > /tmp/Get.java; exec java -Xmx256m /tmp/Get.java "$0"`, command[2]}
			}
			has(t, w.run(command...), "echo "+c.proto+" GET api.test:"+port(l)+" /x")
		})
	}
}
