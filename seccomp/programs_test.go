package seccomp

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs are real ones that must work under the base list, or with a group.
// Each script is run by sh and must print the last line wanted.
var programs = []struct {
	name   string
	needs  string // program
	groups []string
	script string
	want   string
}{
	{"bash", "bash", nil, `bash -c 'set -eo pipefail; sleep 0.01 & for i in 1 2 3; do echo $i; done | sort -r | head -n1 >x; wait; trap "echo got" USR1; kill -USR1 $$; cat <(cat x) && ulimit -n 64 && ulimit -n'`, "64"},
	{"coreutils", "tar", nil, `set -e; mkdir -p -m 1777 a/b; echo hi >a/b/f; ln -s f a/b/l; ln a/b/f a/b/h; mkfifo a/p; chmod 755 a; touch -d yesterday a/b/f
cp -a a c; mv c d; truncate -s 1M d/big; dd if=/dev/zero of=d/zero bs=1k count=4 2>/dev/null; sync d/zero; tar cz d | tar tz >/dev/null; find d -type f | xargs ls -l >/dev/null
df . >/dev/null; du -s . >/dev/null; stat -f . >/dev/null; nproc >/dev/null; date >/dev/null; id >/dev/null; nice -n 5 true; timeout 5 true; seq 1000 | shuf | sort -n | tail -n1; yes | head -n1 >/dev/null; rm -r a d; ls | wc -l`, "0"},
	{"git", "git", nil, `set -e; git init -q r; cd r; git config user.email a@b; git config user.name n; echo 1 >f; git add f; git commit -qm one; git checkout -qb two; git gc -q; cd ..; git clone -q r s; git -C s log --format=%s`, "one"},
	{"python asyncio", "python3", nil, pythonScript, "python ok"},
	{"node", "node", nil, nodeScript, "node ok"},
	{"gcc", "gcc", nil, `set -e; cat >x.c <<'E'
#include <pthread.h>
#include <stdio.h>
static void *f(void *p) { return p; }
int main(void) { pthread_t t; void *r; if (pthread_create(&t, 0, f, "gcc ok") || pthread_join(t, &r)) return 1; puts(r); return 0; }
E
gcc -O1 -pthread -o x x.c; ./x; gcc -static -pthread -o y x.c && ./y`, "gcc ok"},
	{"go build", "go", nil, `set -e; mkdir g; cd g; export GOFLAGS=-mod=mod GOTOOLCHAIN=local GOPROXY=off; go mod init example >/dev/null 2>&1; cat >main.go <<'E'
package main

func main() { c := make(chan string); go func() { c <- "go ok" }(); print(<-c, "\n") }
E
go build -o g . && ./g 2>&1`, "go ok"},
	{"java", "java", nil, javaScript, "java ok"},
	{"rust", "rustc", nil, `set -e; echo 'fn main() { println!("{}", std::thread::spawn(|| "rust ok").join().unwrap()); }' >m.rs; rustc -o m m.rs; ./m`, "rust ok"},
	{"sqlite", "sqlite3", nil, `sqlite3 db 'pragma journal_mode=wal; create table t(a); insert into t values (7); select a from t'`, "7"},
	{"tmux", "tmux", nil, `set -e; tmux -S ./t -f /dev/null new-session -d -x 80 -y 24 'echo from tmux >out; sleep 5'; for i in 1 2 3 4 5 6 7 8 9; do test -s out && break; sleep 0.2; done; tmux -S ./t kill-server; cat out`, "from tmux"},
	{"vim", "vim", nil, `echo one >f; vim -u NONE -es -c '%s/one/two/' -c wq f </dev/null; cat f`, "two"},
	{"strace", "strace", []string{"debug"}, `strace -f -o log sh -c 'echo traced | cat'`, "traced"},
	{"gdb", "gdb", []string{"debug"}, `gdb -nx -batch -ex run --args /bin/echo debugged 2>/dev/null | grep debugged`, "debugged"},
	{"strace without its group", "strace", nil, `strace -o log true >/dev/null 2>&1 || echo refused`, "refused"},
	{"unshare", "unshare", []string{"nested-sandbox"}, `unshare -Ur --mount --pid --fork sh -c 'mount -t tmpfs none /tmp && id -u'`, "0"},
	{"unshare without its group", "unshare", nil, `unshare -Ur true 2>/dev/null || echo refused`, "refused"},
	{"fakeroot", "fakeroot", []string{"message-queues"}, `fakeroot id -u`, "0"},
	{"rsync", "rsync", nil, `set -e; mkdir a; echo 1 >a/f; rsync -a a/ b/; cat b/f`, "1"},
}

const pythonScript = `cat >a.py <<'E'
import asyncio, multiprocessing, os, signal, socket, sqlite3, subprocess, tempfile, threading
def square(x): return x * x
async def main():
    p = await asyncio.create_subprocess_exec("echo", "x", stdout=subprocess.PIPE)
    assert (await p.communicate())[0] == b"x\n"
    async def serve(r, w):
        w.write(await r.readline()); await w.drain(); w.close()
    s = await asyncio.start_server(serve, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
    w.write(b"hello\n"); assert await r.readline() == b"hello\n"
    w.close(); s.close()
    assert await asyncio.to_thread(square, 3) == 9
    await (await asyncio.create_subprocess_shell("exit 0")).wait()
asyncio.run(main())
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool: assert pool.map(square, [1, 2]) == [1, 4]
    from multiprocessing import shared_memory
    m = shared_memory.SharedMemory(create=True, size=64); m.close(); m.unlink()
    socket.getaddrinfo("localhost", 80); socket.if_nameindex()
    c = sqlite3.connect("x.db"); c.execute("create table t(a)"); c.commit()
    f = os.memfd_create("x"); os.pidfd_open(os.getpid()); os.posix_spawn("/bin/true", ["true"], {}); os.wait()
    os.sched_getaffinity(0); signal.setitimer(signal.ITIMER_REAL, 0); tempfile.TemporaryFile()
    print("python ok")
E
python3 a.py`

const nodeScript = `cat >a.js <<'E'
const http = require('http'), cp = require('child_process'), os = require('os'), fs = require('fs'), assert = require('assert');
const { Worker } = require('worker_threads');
(async () => {
  assert.equal(cp.execFileSync('echo', ['x']).toString(), 'x\n');
  await new Promise(r => cp.spawn('sh', ['-c', 'exit 0'], { stdio: 'pipe' }).on('exit', r));
  await new Promise(r => { const c = cp.fork('./b.js'); c.on('message', () => { c.kill(); r(); }); });
  const s = http.createServer((q, r) => r.end('hi')).listen(0, '127.0.0.1');
  await new Promise(r => s.on('listening', r));
  assert.equal(await (await fetch('http://localhost:' + s.address().port)).text(), 'hi');
  s.closeAllConnections(); s.close();
  await new Promise(r => new Worker('require("worker_threads").parentPort.postMessage(1)', { eval: true }).on('message', r));
  os.networkInterfaces(); os.cpus(); os.totalmem();
  const w = fs.watch('.'); w.close();
  await fs.promises.copyFile('a.js', 'c.js');
  console.log('node ok');
})();
E
echo 'process.send(1); setTimeout(() => {}, 5000)' >b.js
node a.js`

const javaScript = `cat >A.java <<'E'
import java.net.*; import java.net.http.*; import com.sun.net.httpserver.*; import java.util.concurrent.*;
public class A { public static void main(String[] a) throws Exception {
  var s = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
  s.createContext("/", x -> { x.sendResponseHeaders(200, 2); x.getResponseBody().write("hi".getBytes()); x.close(); });
  s.start();
  var u = URI.create("http://127.0.0.1:" + s.getAddress().getPort());
  var b = HttpClient.newHttpClient().send(HttpRequest.newBuilder(u).build(), HttpResponse.BodyHandlers.ofString()).body();
  s.stop(0);
  var p = new ProcessBuilder("echo", "x").start(); p.waitFor();
  System.out.println(b.equals("hi") && p.exitValue() == 0 ? "java ok" : "wrong"); System.exit(0); } }
E
java A.java`

// TestPrograms runs real programs under the filter.
func TestPrograms(t *testing.T) {
	goCache := goCacheFor(t)
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			path, err := exec.LookPath(p.needs)
			if err != nil {
				t.Skipf("needs %s: %v", p.needs, err)
			}
			environment := []string{"GOCACHE=" + goCache, "RUSTUP_HOME=" + os.Getenv("RUSTUP_HOME"), "SHELL=/bin/sh"}
			if home, err := os.UserHomeDir(); err == nil && os.Getenv("RUSTUP_HOME") == "" {
				environment[1] = "RUSTUP_HOME=" + filepath.Join(home, ".rustup")
			}
			o := order{Options: Options{Loopback: true, Groups: p.groups}, Do: "exec", Command: []string{"/bin/sh", "-c", p.script}}
			got, r := lastLine(o, t, environment)
			if got == p.want {
				return
			}
			o.Open = true
			if open, _ := lastLine(o, t, environment); open != p.want && !strings.HasSuffix(p.name, "group") {
				t.Skipf("needs a %s that works here; without a filter %s says %q", p.needs, path, open)
			}
			t.Errorf("last line %q, want %q; status %#x\n%s", got, p.want, r.status, r.err)
		})
	}
}

func lastLine(o order, t *testing.T, environment []string) (string, result) {
	r := o.run(t, t.TempDir(), environment...)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	return lines[len(lines)-1], r
}

// goCacheFor is a build cache that can be written: the user's own, so that the
// standard library need not be compiled anew, or an empty one.
func goCacheFor(t *testing.T) string {
	if cache, err := os.UserCacheDir(); err == nil {
		dir := filepath.Join(cache, "go-build")
		if f, err := os.CreateTemp(dir, "probe"); err == nil {
			f.Close()
			os.Remove(f.Name())
			return dir
		}
	}
	return t.TempDir()
}
