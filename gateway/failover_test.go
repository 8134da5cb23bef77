package gateway

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"nacre"
	"nacre/gateway/wire"
)

// public are addresses that count as public, in a network namespace where nobody has them.
var public = [][4]byte{{93, 184, 215, 14}, {93, 184, 215, 15}}

// TestFailover: of several addresses of a name each is looked at before it is dialled:
// one that is not public is passed over, one that does not answer too, and another that
// is good is reached.
func TestFailover(t *testing.T) {
	if os.Getenv("NACRE_TEST_FAILOVER") != "" {
		failover(t)
		return
	}
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("needs ip, of iproute2")
	}
	setUp := ip + " link set lo up"
	for _, a := range public {
		setUp += fmt.Sprintf(" && %s address add %s/32 dev lo", ip, net.IP(a[:]))
	}
	cmd := exec.Command("sh", "-c", setUp+` && exec "$0" -test.run '^TestFailover$' -test.v`, "/proc/self/fd/3")
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), "NACRE_TEST_FAILOVER=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		t.Skipf("needs user namespaces: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "PASS: TestFailover/") {
		t.Errorf("%v\n%s", err, out)
	}
}

// failover is TestFailover in a network of its own.
func failover(t *testing.T) {
	good, dead := public[0], public[1]
	l, err := net.Listen("tcp", net.JoinHostPort(net.IP(good[:]).String(), "4430"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	private, err := net.Listen("tcp", "127.0.0.1:4430")
	if err != nil {
		t.Fatal(err)
	}
	defer private.Close()
	go func() {
		for c, err := private.Accept(); err == nil; c, err = private.Accept() {
			t.Error("something arrived at a private address")
			c.Close()
		}
	}()
	for name, c := range map[string]struct {
		addresses [][4]byte
		why       string // where none is good
	}{
		"good":                   {[][4]byte{good}, ""},
		"private, then good":     {[][4]byte{{127, 0, 0, 1}, good}, ""},
		"good, then private":     {[][4]byte{good, {127, 0, 0, 1}}, ""},
		"dead, then good":        {[][4]byte{dead, good}, ""},
		"private, dead and good": {[][4]byte{{10, 0, 0, 1}, dead, {127, 0, 0, 1}, good}, ""},
		"private and dead":       {[][4]byte{{127, 0, 0, 1}, dead}, errNotPublic.Error()},
		"dead":                   {[][4]byte{dead}, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			go nameServer(p, c.addresses)
			d := newDialer(wire.Config{Resolvers: []string{p.LocalAddr().String()}})
			out, err := d.dial(context.Background(), nacre.NetworkGrant{Host: "api.example.com"}, "api.example.com", 4430)
			if err == nil {
				defer out.Close()
			}
			switch {
			case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
				t.Errorf("%v, not %q", err, c.why)
			case c.why == "" && err != nil:
				t.Error(err)
			case c.why == "" && out.RemoteAddr().String() != l.Addr().String():
				t.Errorf("%v was reached", out.RemoteAddr())
			}
		})
	}
}
