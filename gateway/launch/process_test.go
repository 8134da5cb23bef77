package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/fault"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/cgroup"
)

// children are this process's, with their names.
func children(t testing.TB) map[int]string {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for _, task := range tasks {
		list, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if errors.Is(err, os.ErrNotExist) {
			if _, gone := os.Stat("/proc/self/task/" + task.Name()); gone != nil {
				continue
			}
		}
		if err != nil {
			t.Skipf("needs /proc/PID/task/TID/children: %v", err)
		}
		for pid := range strings.FieldsSeq(string(list)) {
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			n, _ := strconv.Atoi(pid)
			all[n] = strings.TrimSpace(string(name))
		}
	}
	return all
}

// gatewayOf finds the gateway of a running sandbox among this process's children.
func gatewayOf(t testing.TB) int {
	t.Helper()
	for pid, name := range children(t) {
		if name == "nacre-gateway" {
			return pid
		}
	}
	t.Fatal("no gateway")
	return 0
}

// TestGatewayIsConfined: what the kernel says of the process that strangers talk
// to.
func TestGatewayIsConfined(t *testing.T) {
	left, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // as a shell may leave it open
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(left)
	w := newWorld(t)
	w.grant("api.test", w.serve(t, echo, "api.test"), nil)
	box, _ := w.start("sleep", "60")
	defer func() { _ = box.Stop(0) }()
	pid := gatewayOf(t)
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads: %v", len(tasks), err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
		if err != nil {
			t.Fatal(err)
		}
		has(t, string(status), "NoNewPrivs:\t1", "Seccomp:\t2", "CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000")
		if os.Geteuid() == 0 && strings.Contains(string(status), "Uid:\t0") {
			t.Error("a thread is root")
		}
	}
	for kind, own := range map[string]bool{"user": true, "mnt": true, "pid": true, "ipc": true, "uts": true, "cgroup": true, "net": false} {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		ours, err2 := os.Readlink("/proc/self/ns/" + kind)
		if os.Geteuid() != 0 && errors.Is(err, os.ErrPermission) {
			continue // it is not dumpable, and only root is shown
		}
		if err != nil || err2 != nil || (theirs != ours) != own {
			t.Errorf("namespace %s: %s, here %s (%v, %v)", kind, theirs, ours, err, err2)
		}
	}
	if inside, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/", pid)); err == nil && len(inside) > 0 || err != nil && os.Geteuid() == 0 {
		t.Errorf("its root holds %v: %v", inside, err)
	}
	if os.Geteuid() != 0 {
		if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil {
			t.Error("its owner can look into it: it is dumpable")
		}
	}
	if maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid)); err == nil {
		has(t, string(maps), "Max core file size        0")
	}
	held(t, pid)
}

// held looks at the files that the gateway holds: the system's certificates, and these to
// read. Only root may look.
func held(t *testing.T, pid int) {
	if os.Geteuid() != 0 {
		return
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil || len(fds) < 6 {
		t.Fatalf("%d descriptors: %v", len(fds), err)
	}
	for _, fd := range fds {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
		if err != nil || at == os.DevNull || !strings.HasPrefix(at, "/") {
			continue // gone, or no file: sockets, pipes, the kernel's own
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd.Name()))
		var flags int
		if _, e := fmt.Sscanf(string(info), "pos: %d\nflags: 0%o", new(int), &flags); err != nil || e != nil {
			t.Fatalf("%v %v: %s", err, e, info)
		}
		if !slices.ContainsFunc(roots, func(place string) bool { real, _ := filepath.EvalSymlinks(place); return real == at }) || flags&unix.O_ACCMODE != unix.O_RDONLY {
			t.Errorf("it holds %s, with flags %o", at, flags)
		}
	}
}

// TestGatewayIsCharged: what the gateway uses counts as the sandbox's, as root and
// as a plain user under systemd, whose processes only systemd can move.
func TestGatewayIsCharged(t *testing.T) {
	if err := cgroup.Detect().Problem(); err != nil {
		t.Skipf("needs control groups: %v", err)
	}
	w := newWorld(t)
	w.grant("api.test", w.serve(t, echo, "api.test"), nil)
	box, _ := w.start("sleep", "60")
	defer func() { _ = box.Stop(0) }()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", gatewayOf(t)))
	want := 2 // of memory, and of processors
	if cgroup.Detect().Mode == cgroup.V2 {
		want = 1
	}
	if err != nil || strings.Count(string(groups), "/nacre-"+box.ID()+"/supervisor\n") < want {
		t.Errorf("the gateway is in %s, %v", groups, err)
	}
}

// killed is a gateway that is killed once it has said who it is.
type killed struct {
	native.Gateways
	t testing.TB
}

func (k killed) Open(p nacre.Plan, uid int, born func(func(v2 int) error) error, report func(context.Context, nacre.Event) error) (native.Gateway, error) {
	g, err := k.Gateways.Open(p, uid, born, report)
	return killedLater{g, k.t}, err
}

type killedLater struct {
	native.Gateway
	t testing.TB
}

func (k killedLater) Furnish(ctx context.Context) ([]blueprint.Entry, []nacre.Variable, error) {
	files, list, err := k.Gateway.Furnish(ctx)
	return files, list, errors.Join(err, unix.Kill(gatewayOf(k.t), unix.SIGKILL))
}

// TestGatewayEndsEarly: the first process inside begins before the gateway has said
// anything. Where that ends, whenever it does, nothing runs and nothing is left.
func TestGatewayEndsEarly(t *testing.T) {
	for when, change := range map[string]func(*world){
		"before it says who it is":  func(w *world) { w.launcher.Program = w.engine.Init }, // which is no gateway, and says nothing
		"before it has its sockets": func(w *world) { w.engine.Gateways = killed{w.launcher, t} },
	} {
		t.Run(when, func(t *testing.T) {
			w := newWorld(t)
			w.grant("api.test", listen(t), nil)
			change(w)
			w.plan.Command = []string{"echo", "it runs"}
			w.plan.Digest = compile.Digest(w.plan)
			out := &buffer{}
			_, err := w.engine.Start(context.Background(), w.plan, nacre.Streams{Out: out, Err: out})
			if fault.KindOf(err) != fault.Unsupported || !strings.Contains(err.Error(), "the gateway does not answer") || out.String() != "" {
				t.Errorf("%v\n%s", err, out)
			}
			has(t, w.audit.String(), "sandbox.refused deny")
			if list, err := w.engine.Runs.List(); err != nil || len(list) > 0 {
				t.Errorf("left: %+v, %v", list, err)
			}
			if left := children(t); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestGatewayDies: the sandbox loses its network, and nothing else; the record
// says so.
func TestGatewayDies(t *testing.T) {
	w := newWorld(t)
	l := w.serve(t, echo, "api.test")
	w.grant("api.test", l, nil)
	box, out := w.start("sh", "-c", `curl -sS https://api.test:`+port(l)+`/; echo before; sleep 1; curl -sS -m 5 https://api.test:`+port(l)+`/ || echo gone; curl -m 5 -sS http://1.2.3.4 || echo gone; exit 7`)
	for limit := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "before") && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	if err := unix.Kill(gatewayOf(t), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := box.Wait()
	if err != nil || exit.Code != 7 {
		t.Errorf("%+v %v", exit, err)
	}
	has(t, out.String(), "echo HTTP", "before\n", "gone\n")
	if strings.Count(out.String(), "gone\n") != 2 {
		t.Error(out.String())
	}
	has(t, w.audit.String(), "gateway.lost deny")
}

// TestGatewayThatHearsNothing: a gateway that takes nothing any more, as one that was
// taken over may, keeps neither the end of the run waiting nor whoever revokes: it is
// ended.
func TestGatewayThatHearsNothing(t *testing.T) {
	for _, why := range []string{"end", "revocation"} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t)
			w.grant("api.test", w.serve(t, echo, "api.test"), nil)
			box, _ := w.start("sleep", "600")
			if err := unix.Kill(gatewayOf(t), unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			full := make(chan error, 1)
			go func() { // until the socket is full, and then until it is ended
				var err error
				for err == nil {
					err = w.opened.Change([]string{"network.1"}, nil)
				}
				full <- err
			}()
			if why == "end" {
				_ = box.Stop(0)
			} else {
				for limit := time.Now().Add(time.Minute); !strings.Contains(w.audit.String(), "gateway.lost deny") && time.Now().Before(limit); {
					time.Sleep(5 * time.Millisecond)
				}
				has(t, w.audit.String(), "gateway.lost deny")
				if err := box.Stop(0); err != nil {
					t.Error(err)
				}
			}
			ended := make(chan error, 1)
			go func() { _, err := box.Wait(); ended <- err }()
			for _, c := range []chan error{ended, full} {
				select {
				case err := <-c:
					t.Log(err)
				case <-time.After(time.Minute):
					t.Fatal("still waiting for a gateway that hears nothing")
				}
			}
		})
	}
}

// TestNoGatewayToKill: one that could not be started is not there to be killed either,
// however long its tool servers take to end.
func TestNoGatewayToKill(t *testing.T) {
	g := &link{begun: make(chan struct{}), failed: errors.New("not started")}
	close(g.begun)
	g.kill()
}

// TestManyAtOnce: thousands of connections from inside are answered, and one
// more request as well.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.plan.Limits.OpenFiles = 8192
	l := w.serve(t, echo, "api.test")
	w.grant("api.test", l, nil)
	out := w.client("many", "api.test:"+port(l), "4000", "https://api.test:"+port(l)+"/after")
	has(t, out, "open 4000 200 echo", "/after")
}

// TestManyNames: a thousand names at once.
func TestManyNames(t *testing.T) {
	w := newWorld(t)
	w.plan.Network = append(w.plan.Network, nacre.NetworkGrant{Host: "*.example.org", Scheme: "https", Ports: []int{443}, Methods: []string{"GET"}, Paths: []string{"/**"}})
	has(t, w.client("names", "example.org", "1000"), "wrong 0")
}
