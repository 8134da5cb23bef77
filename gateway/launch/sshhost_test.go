package launch

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"testing"

	"golang.org/x/crypto/ssh"
)

// serve is an SSH server that runs what somebody with the key asks for.
func (h *gitHost) serve(t *testing.T, l net.Listener, hostKey []byte, who ssh.PublicKey) {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(hostKey)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != h.user || !bytes.Equal(key.Marshal(), who.Marshal()) {
			return nil, errors.New("nobody")
		}
		fmt.Fprintln(h.log, "Accepted publickey")
		return nil, nil
	}}
	config.AddHostKey(signer)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.converse(c, config)
		}
	}()
}

func (h *gitHost) converse(c net.Conn, config *ssh.ServerConfig) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		ch, requests, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				var line struct{ Text string }
				if r.Type != "exec" || ssh.Unmarshal(r.Payload, &line) != nil {
					_ = r.Reply(false, nil)
					continue
				}
				_ = r.Reply(true, nil)
				cmd := exec.Command("sh", "-c", line.Text)
				cmd.Stdin, cmd.Stdout, cmd.Stderr = ch, ch, ch.Stderr()
				var code struct{ Code uint32 }
				if cmd.Run() != nil {
					code.Code = 1
				}
				_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(code))
				ch.Close()
			}
		}()
	}
}
