package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/gateway/wire"
)

// TestPlainly: whatever goes wrong outside, a program reads a fixed sentence; no
// address, no host and no name server is in it.
func TestPlainly(t *testing.T) {
	from, to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.1.2.3:4444")), net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.168.7.7:443"))
	op := func(what string, err error) error {
		return &net.OpError{Op: what, Net: "tcp", Source: from, Addr: to, Err: err}
	}
	d := newDialer(wire.Config{Own: []netip.Addr{netip.MustParseAddr("8.8.4.4")}})
	lookup := func(e net.DNSError) error {
		e.Name, e.Server, e.Err = "api.real.example.", "10.0.0.53:53", "read udp 127.0.0.1:9->10.0.0.53:53: x"
		return op("dial", &e)
	}
	for want, errs := range map[string][]error{
		"its name is not known":                             {lookup(net.DNSError{IsNotFound: true})},
		"no name server answers in time":                    {lookup(net.DNSError{IsTimeout: true})},
		"its name cannot be looked up now":                  {lookup(net.DNSError{})},
		errNotPublic.Error():                                {op("dial", d.permit("10.0.0.7:443", netip.Addr{})), op("dial", d.permit("8.8.4.4:443", netip.Addr{}))},
		errProxy.Error():                                    {fmt.Errorf("%w: %w", errProxy, op("dial", unix.ECONNREFUSED))},
		errHostKey.Error():                                  {fmt.Errorf("ssh: handshake failed: %w", fmt.Errorf("%w: ssh-ed25519 SHA256:x", errHostKey))},
		"its certificate has expired or is not yet valid":   {&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "10.0.0.1"}}},
		"its certificate is valid for another name":         {&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "api.real.example"}}},
		"its certificate is signed by an unknown authority": {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}},
		"its certificate is not valid":                      {&tls.CertificateVerificationError{Err: errors.New("10.0.0.1")}},
		"it does not speak TLS":                             {tls.RecordHeaderError{Msg: "10.0.0.1"}},
		"it refuses connections (connection refused)":       {op("dial", os.NewSyscallError("connect", unix.ECONNREFUSED))},
		"it broke the connection off (connection reset)":    {op("read", os.NewSyscallError("read", unix.ECONNRESET)), op("write", unix.EPIPE)},
		"no way leads there from this machine":              {op("dial", unix.ENETUNREACH), op("dial", unix.EHOSTUNREACH)},
		"it does not answer in time":                        {op("dial", os.ErrDeadlineExceeded), op("dial", unix.ETIMEDOUT), context.DeadlineExceeded},
		"it refused the TLS handshake":                      {op("remote error", errors.New("tls: bad certificate"))},
		"it ended the connection without an answer":         {io.EOF, io.ErrUnexpectedEOF},
		"it does not take the owner's key":                  {errors.New("ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain")},
		"it does not answer as it should":                   {errors.New("malformed HTTP response from api.real.example at 10.0.0.1"), op("dial", d.permit("10.0.0.8:443", netip.MustParseAddr("10.0.0.7")))},
		"it broke off: " + wantsCertificate:                 {&beyond{op("write", unix.EPIPE), true}, &beyond{io.EOF, true}},
	} {
		for _, err := range errs {
			if _, far := errors.AsType[*beyond](err); !far {
				err = fromBeyond(context.Background(), err)
			}
			got := forProgram(fmt.Errorf("outer: %w", err))
			if got != want {
				t.Errorf("%v\n  is told as %q,\n  not as     %q", err, got, want)
			}
			if regexp.MustCompile(`[0-9]|example|->`).MatchString(got) {
				t.Errorf("%q tells a place", got)
			}
		}
	}
}
