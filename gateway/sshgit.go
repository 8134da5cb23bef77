package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"nacre"
	"nacre/egress"
	"nacre/gateway/wire"
	"nacre/pattern"
)

// errand is one command of a program inside, done at the host that it is for.
type errand struct {
	*Gateway
	to      destination
	user    string
	channel ssh.Channel
	grant   nacre.NetworkGrant
}

// command is what git asks of a server (gitprotocol-pack(5)): what it may name
// needs no quoting, and has one reading.
var command = pattern.Of(`^git[ -](upload-pack|receive-pack) '/?([A-Za-z0-9_.+@/-]{1,1000})'$`)

// gitCommand is what a command line wants. What is sent is made of what was
// decided upon: a path from the root, as the intent has it.
func gitCommand(line string) (method, path, send string, ok bool) {
	found := command().FindStringSubmatch(line)
	if found == nil {
		return "", "", "", false
	}
	method = map[string]string{"upload-pack": egress.Fetch, "receive-pack": egress.Push}[found[1]]
	program := "git-" + found[1]
	return method, "/" + found[2] + "/" + program, program + " '/" + found[2] + "'", true
}

// run decides on a command and does it. The result is its exit code.
func (e *errand) run(ctx context.Context, payload []byte) uint32 {
	var asked struct{ Line string }
	if err := ssh.Unmarshal(payload, &asked); err != nil {
		return 1
	}
	i := egress.Intent{Scheme: "ssh", Host: e.to.host, Port: e.to.port}
	var send string
	var ok bool
	if i.Method, i.Path, send, ok = gitCommand(asked.Line); !ok {
		say(e.channel, e.refuse(e.to, "", asked.Line))
		return 1
	}
	d, grant := e.rules().Decide(i)
	key, err := e.key(d, i)
	if err != nil {
		d.Effect, d.Reason = nacre.Deny, err.Error()
	}
	m := e.meters.of(grant)
	if d.Effect == nacre.Allow {
		if why, _ := m.admit(0, time.Now()); why != "" {
			d.Effect, d.Reason = nacre.Deny, why
		} else {
			defer m.done()
		}
	}
	if err := e.intend(ctx, "request", d, map[string]string{"secrets": key.Name + " " + key.Fingerprint}); err != nil {
		return e.explain(err)
	}
	e.grant = grant
	out, err := e.login(ctx, key)
	if err != nil {
		e.failed(d, err)
		say(e.channel, "Nacre, the sandbox that you run in, cannot reach "+e.to.host+": "+forProgram(err))
		return 1
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { out.Close() })()
	return e.relay(ctx, out, send, i)
}

// explain says why nothing is done.
func (e *errand) explain(err error) uint32 {
	why := forProgram(err)
	if r, ok := errors.AsType[*refusal](err); ok {
		why = r.Reason
	}
	say(e.channel, sentence(why))
	return 1
}

// key is the secret to log in with: of the user whom the program names, or there
// is none.
func (e *errand) key(d nacre.Decision, i egress.Intent) (wire.Secret, error) {
	if d.Effect != nacre.Allow {
		return wire.Secret{}, nil
	}
	user := ""
	for _, s := range e.keysFor(i) {
		if user = userOf(s); user == e.user {
			return s, nil
		}
	}
	if user == "" {
		return wire.Secret{}, fmt.Errorf("no secret with slot: ssh is granted for %s", i)
	}
	return wire.Secret{}, fmt.Errorf("the key for %s is %s's, and the program asks to be %.40q", e.to.host, user, e.user)
}

// userOf is whom a key is for.
func userOf(key wire.Secret) string {
	_, name, _ := strings.Cut(key.Slot, ":")
	return cmp.Or(name, "git")
}

// login connects to the host and proves that it is the one that the owner knows.
func (e *errand) login(ctx context.Context, key wire.Secret) (*ssh.Client, error) {
	signer, err := ssh.ParsePrivateKey(key.Value)
	if err != nil {
		return nil, fmt.Errorf("the secret %s is not a private key without a passphrase", key.Name)
	}
	known := e.hostKeys()
	c, err := e.dialer.dial(ctx, e.grant, e.to.host, e.to.port)
	if err != nil {
		return nil, fromBeyond(ctx, err)
	}
	_ = c.SetDeadline(time.Now().Add(connecting))
	conn, channels, requests, err := ssh.NewClientConn(c, e.to.host, &ssh.ClientConfig{
		User: userOf(key), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, ClientVersion: "SSH-2.0-Nacre",
		HostKeyAlgorithms: algorithms(known),
		HostKeyCallback: func(_ string, _ net.Addr, found ssh.PublicKey) error {
			if slices.ContainsFunc(known, func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), found.Marshal()) }) {
				return nil
			}
			return fmt.Errorf("%w: %s %s", errHostKey, found.Type(), ssh.FingerprintSHA256(found))
		}})
	if err != nil {
		c.Close()
		return nil, fromBeyond(ctx, err)
	}
	_ = c.SetDeadline(time.Time{})
	return ssh.NewClient(conn, channels, requests), nil
}

// hostKeys are those that the owner knows of the destination.
func (e *errand) hostKeys() (known []ssh.PublicKey) {
	for _, k := range e.config.HostKeys {
		if k.Host == e.to.host && k.Port == e.to.port {
			if key, err := ssh.ParsePublicKey(k.Key); err == nil {
				known = append(known, key)
			}
		}
	}
	return known
}

// algorithms asks for the kinds of keys that are known first, so that a host
// that has several shows one of those.
func algorithms(known []ssh.PublicKey) (list []string) {
	for _, k := range known {
		if k.Type() == ssh.KeyAlgoRSA {
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			list = append(list, k.Type())
		}
	}
	all := slices.DeleteFunc(ssh.SupportedAlgorithms().HostKeys, func(a string) bool {
		return slices.Contains(list, a) || strings.Contains(a, "-cert-")
	})
	return append(list, all...)
}

// relay runs a command outside and carries its streams. What a push says first
// is read before any of it goes out.
func (e *errand) relay(ctx context.Context, out *ssh.Client, send string, i egress.Intent) uint32 {
	s, err := out.NewSession()
	if err != nil {
		return e.explain(fromBeyond(ctx, err))
	}
	in, err := s.StdinPipe()
	if err != nil {
		return e.explain(fromBeyond(ctx, err))
	}
	s.Stdout, s.Stderr = e.channel, e.channel.Stderr()
	if err := s.Start(send); err != nil {
		return e.explain(fromBeyond(ctx, err))
	}
	denied := make(chan struct{})
	go func() {
		defer in.Close()
		if i.Method == egress.Push {
			if err := e.push(ctx, in, i); err != nil {
				close(denied)
				_ = e.explain(err)
				out.Close()
				return
			}
		}
		if _, err := io.Copy(in, &counted{e.channel, e.meters.of(e.grant)}); errors.Is(err, errQuota) {
			_ = e.explain(err)
			out.Close()
		}
	}()
	err = s.Wait()
	select {
	case <-denied:
		return 1
	default:
	}
	if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
		return uint32(exit.ExitStatus())
	}
	if err != nil {
		return 1
	}
	return 0
}

// push reads which refs a push is to, decides, and sends what it read. A program
// that says nothing pushes nothing.
func (e *errand) push(ctx context.Context, in io.Writer, i egress.Intent) error {
	refs, read, err := pushed(e.channel)
	if err != nil && len(read) == 0 {
		return nil
	}
	i.Refs = refs
	d, grant := e.rules().Decide(i)
	if err != nil {
		d.Effect, d.Reason = nacre.Deny, err.Error()
	}
	if err := e.intend(ctx, "request", d, map[string]string{"refs": strings.Join(refs, " ")}); err != nil {
		return err
	}
	if err := e.meters.of(grant).spend(int64(len(read))); err != nil {
		return err
	}
	_, err = in.Write(read)
	return fromBeyond(ctx, err)
}
