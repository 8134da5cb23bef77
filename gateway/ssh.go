package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"nacre"
	"nacre/egress"
)

// porter is the SSH server that programs inside meet. It asks nobody who they
// are: the socket that accepted the connection says it. Its key is made when the
// gateway starts and is nowhere but in its memory.
type porter struct {
	config *ssh.ServerConfig
	known  string // its line for known_hosts
}

func newPorter() (porter, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // ed25519 first computes a large table
	if err != nil {
		return porter{}, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return porter{}, err
	}
	config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: "SSH-2.0-Nacre"}
	config.AddHostKey(signer)
	return porter{config, "* " + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}, nil
}

// maxSessions is how many commands may run on one connection at once.
const maxSessions = 8

// ssh speaks with a program inside as the server that it wanted to reach.
func (g *Gateway) ssh(c *net.TCPConn, d destination) {
	defer g.leave(c)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(greeting))
	server, channels, requests, err := ssh.NewServerConn(c, g.porter.config)
	if err != nil {
		g.turnAway(c, sshDenial(d, "only SSH is granted there, and its handshake with the program inside failed: "+err.Error()))
		return
	}
	_ = c.SetDeadline(time.Time{})
	defer server.Close()
	go g.refuseForwards(d, requests)
	var running atomic.Int32
	for n := range channels {
		switch {
		case n.ChannelType() != "session":
			_ = n.Reject(ssh.Prohibited, g.refuse(d, sshOthers[n.ChannelType()], n.ChannelType()))
		case running.Load() >= maxSessions:
			_ = n.Reject(ssh.ResourceShortage, "too many commands at once on one connection")
		default:
			running.Add(1)
			go func() {
				defer running.Add(-1)
				g.session(d, server.User(), n)
			}()
		}
	}
}

// sshOthers are the things that SSH can do besides, in plain words.
var sshOthers = map[string]string{
	"tcpip-forward": "port forwarding", "direct-tcpip": "port forwarding", "streamlocal-forward@openssh.com": "port forwarding",
	"direct-streamlocal@openssh.com": "port forwarding", "tun@openssh.com": "a tunnel", "x11-req": "X11", "auth-agent-req@openssh.com": "the SSH agent",
	"pty-req": "a terminal", "shell": "a shell", "subsystem": "file transfer, or another subsystem,", "exec": "this command",
}

// refuse records that something else than git was wanted, and says so.
func (g *Gateway) refuse(d destination, what, kind string) string {
	if what == "" {
		what = fmt.Sprintf("%.40q", kind)
	}
	decision := sshDenial(d, what+" does not pass: by SSH git fetches and pushes, and nothing else is done")
	_ = g.intend(context.Background(), "request", decision, nil)
	return sentence(decision.Reason)
}

func sshDenial(d destination, why string) nacre.Decision {
	return nacre.Decision{Capability: nacre.CapNetwork, Subject: egress.Intent{Scheme: "ssh", Host: d.host, Port: d.port}.String(), Rule: "ssh", Reason: why}
}

// sentence is what a program inside reads of a denial.
func sentence(why string) string {
	return "Nacre, the sandbox that you run in, does not let this out: " + why
}

// refuseForwards answers what is asked of a connection as a whole.
func (g *Gateway) refuseForwards(d destination, requests <-chan *ssh.Request) {
	for r := range requests {
		if what := sshOthers[r.Type]; what != "" {
			_ = g.refuse(d, what, r.Type)
		}
		_ = r.Reply(false, nil) // a keepalive wants just an answer
	}
}

// session does one command of a connection.
func (g *Gateway) session(d destination, user string, n ssh.NewChannel) {
	ch, requests, err := n.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	for r := range requests {
		switch r.Type {
		case "exec":
			_ = r.Reply(true, nil)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() { // until the program inside is gone
				ssh.DiscardRequests(requests)
				cancel()
			}()
			e := &errand{Gateway: g, to: d, user: user, channel: ch}
			finish(ch, e.run(ctx, r.Payload))
			return
		case "shell", "subsystem":
			_ = r.Reply(true, nil) // so that what follows is shown
			say(ch, g.refuse(d, sshOthers[r.Type], r.Type))
			finish(ch, 1)
			return
		case "x11-req", "auth-agent-req@openssh.com":
			say(ch, g.refuse(d, sshOthers[r.Type], r.Type))
			_ = r.Reply(false, nil)
		default: // variables, which clients send unasked; terminals
			_ = r.Reply(false, nil)
		}
	}
}

func say(ch ssh.Channel, text string) { _, _ = io.WriteString(ch.Stderr(), text+"\n") }

// finish ends a command as a server does.
func finish(ch ssh.Channel, code uint32) {
	_ = ch.CloseWrite()
	_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
}
