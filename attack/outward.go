package attack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"nacre/attack/wire"
)

// Outward is what the judge serves beside a sandbox with a network, and what is
// to be granted there: at Address, under the name Host, HTTPS at both ports, GET,
// HEAD and POST below /open/, and WebSockets below /chat/, with Secret as bearer, for
// which PlaceholderVariable stands inside; the same below /open/ under the name Second,
// without Secret; and the name Rebound at TLSPort.
type Outward struct {
	wire.Outward
	Folder    string // the owner's, for what the sandbox's launcher wants to write
	Address   string
	Resolver  string // the name server that is to be asked outside
	Authority string // file (PEM) with whom to trust
	Secret    string
}

// networked tells in which sandbox a probe runs.
func (w *world) networked(s wire.Spec) bool {
	return w.network != nil && (s.Class == "egress" || w.options.Networked)
}

// plantOutward opens the servers and has the command made. A machine or a kind of
// sandbox where that is not to be had is none to try these probes on.
func (w *world) plantOutward() error {
	if w.options.Network == nil {
		return fmt.Errorf("no sandbox with a network is known: %w", syscall.EPROTONOSUPPORT)
	}
	o := Outward{Outward: wire.Outward{Host: "api.granted.test", Second: "second.granted.test", Rebound: "rebound.granted.test", Other: "other.granted.test"},
		Address: "127.0.0.1", Folder: w.outside + "/owner", Secret: w.secret("credential")}
	if err := os.Mkdir(o.Folder, 0o700); err != nil {
		return err
	}
	certificate, err := w.certify(&o)
	if err != nil {
		return err
	}
	h := &host{world: w, out: &o, certificate: certificate}
	if o.TLSPort, err = h.serve(true); err != nil {
		return err
	}
	if o.RawPort, err = h.serve(false); err != nil {
		return err
	}
	if o.DNSPort, err = w.resolve(&o); err != nil {
		return err
	}
	o.Resolver = fmt.Sprintf("127.0.0.1:%d", o.DNSPort)
	w.listenElsewhere(&o)
	w.config.Outward = o.Outward
	w.network, err = w.options.Network(o)
	return err
}

// listenElsewhere hears tokens on the machine's other addresses, at the ports that
// are used on loopback: where something that lets a program out would lead.
func (w *world) listenElsewhere(o *Outward) {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast() {
			continue
		}
		here := false
		for _, port := range []int{w.config.TCP4, o.TLSPort, o.DNSPort} {
			at := net.JoinHostPort(n.IP.String(), fmt.Sprint(port))
			here = w.stream("tcp", at, nil) == nil || here
			_ = w.packets("udp", at, func(net.Addr) {}) // what is taken is tried elsewhere
		}
		if here {
			o.Addresses = append(o.Addresses, n.IP.String())
		}
	}
}

// certify makes an authority and a server's certificate for every name.
func (w *world) certify(o *Outward) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "judge"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "judge"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		DNSNames: []string{o.Host, o.Second, o.Rebound, o.Other}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	o.Authority = w.outside + "/owner/authority.pem"
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
		os.WriteFile(o.Authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o600)
}

// takeToken records the arrival of a token of the other form.
func (w *world) takeToken(where, text string) bool {
	id, ok := wire.FindToken(w.config.Run, text)
	if ok {
		w.arrive(id, where)
	}
	return ok
}

func (w *world) arrive(id, where string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if before := w.arrivals[id]; before != "" && !strings.Contains(before, where) && len(before) < maxEvidence {
		where = before + "; " + where
	}
	w.arrivals[id] = where
}

func (w *world) reach(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached[id] = true
}

func (w *world) hasReached(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reached[id]
}
