package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"sync"
	"time"
)

// authority signs certificates for the names that are granted. Its keys are
// made when the gateway starts and are nowhere but in its memory.
type authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	leaf   *ecdsa.PrivateKey // of all certificates: they differ only by name
	mu     sync.Mutex
	narrow map[string]*issuer // by the name that a grant is for
	leaves map[string]*tls.Certificate

	tickets [32]byte // the key of what programs show that come again
}

// issuer signs for one grant's name, and those below it, alone.
type issuer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

const (
	validity  = 30 * 24 * time.Hour // longer than a sandbox lives
	skew      = 24 * time.Hour      // that clocks inside may be behind
	maxLeaves = 1024
)

func newAuthority() (*authority, error) {
	a := &authority{leaves: map[string]*tls.Certificate{}, narrow: map[string]*issuer{}}
	_, _ = rand.Read(a.tickets[:]) // never fails (crypto/rand)
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if a.leaf, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	t := template("Nacre gateway of this sandbox")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, t, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails (crypto/rand)
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-skew), NotAfter: now.Add(validity)}
}

// root is the authority's certificate.
func (a *authority) root() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// certify makes a certificate for a host that is granted, by the name that its
// grant is for.
func (a *authority) certify(host, granted string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaves[host]; c != nil {
		return c, nil
	}
	if len(a.leaves) >= maxLeaves {
		clear(a.leaves)
	}
	by, err := a.issuer(granted)
	if err != nil {
		return nil, err
	}
	t := template(host)
	if len(host) > 64 { // the most that a common name may have
		t.Subject.CommonName = ""
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, by.cert, a.leaf.Public(), by.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, by.cert.Raw}, PrivateKey: a.leaf}
	a.leaves[host] = c
	return c, nil
}

// issuer is the authority below the root for one grant: its certificate says
// that it can sign for nothing else.
func (a *authority) issuer(granted string) (*issuer, error) {
	if by := a.narrow[granted]; by != nil {
		return by, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template("Nacre gateway, " + granted[:min(len(granted), 40)])
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero, t.KeyUsage = true, true, true, x509.KeyUsageCertSign
	t.PermittedDNSDomainsCritical = true
	if ip := net.ParseIP(granted); ip != nil {
		bits := 8 * len(ip)
		if four := ip.To4(); four != nil {
			ip, bits = four, 32
		}
		t.PermittedIPRanges = []*net.IPNet{{IP: ip, Mask: net.CIDRMask(bits, bits)}}
	} else {
		t.PermittedDNSDomains = []string{granted}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a.narrow[granted] = &issuer{key, cert}
	return a.narrow[granted], nil
}

// errName is a client hello for another name than was dialled.
var errName = errors.New("the name in the TLS handshake is not the one that was looked up")
