package launch

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	jks "github.com/pavlo-v-chernykh/keystore-go/v4"

	"nacre"
	"nacre/gateway/capture"
	"nacre/gateway/wire"
	"nacre/sandbox/blueprint"
)

// Where programs inside find whom to trust.
const (
	Bundle     = "/etc/ssl/certs/ca-certificates.crt" // of certificates
	truststore = "/etc/ssl/certs/java/cacerts"
)

// bundles are the places where programs look by themselves.
var bundles = []string{Bundle, "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"}

// variables name the bundle to programs that look elsewhere.
var variables = []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "CODEX_CA_CERTIFICATE",
	"PIP_CERT", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "NPM_CONFIG_CAFILE"}

// passedOn are the certificates of the Internet and further ones, where a plan has TLS
// passed on unread; elsewhere nobody inside meets them.
func passedOn(p nacre.Plan, more []byte) []byte {
	if slices.ContainsFunc(p.Network, unread) {
		system := certificates()
		defer system.Close()
		text, _ := io.ReadAll(system) // a nil file has none
		return bytes.Join([][]byte{text, more}, []byte("\n"))
	}
	return nil
}

// unread tells whether TLS to a destination is passed on.
func unread(n nacre.NetworkGrant) bool { return n.TLS != "" || n.Scheme == "tcp" }

// furnish tells programs inside of the name server, of the authority, and of the
// key of whoever answers there to SSH.
func furnish(hello wire.Hello, outside []byte) (files []blueprint.Entry, list []nacre.Variable, err error) {
	file := func(path string, text []byte) {
		files = append(files, blueprint.Entry{Form: blueprint.File, Path: path, NoExec: true, Mode: 0o444, Text: text})
	}
	file("/etc/resolv.conf", []byte("nameserver "+capture.Resolver().String()+"\noptions timeout:1 attempts:2\n"))
	file("/etc/ssh/ssh_known_hosts", []byte(hello.SSH))
	known := append(slices.Clone(hello.Root), outside...)
	for _, place := range bundles {
		file(place, known)
	}
	java, err := keystore(known)
	if err != nil {
		return nil, nil, err
	}
	file(truststore, java)
	for _, name := range variables {
		list = append(list, nacre.Variable{Name: name, Value: Bundle})
	}
	list = append(list, nacre.Variable{Name: "JAVA_TOOL_OPTIONS", Value: "-Djavax.net.ssl.trustStore=" + truststore})
	return files, list, nil
}

// keystore is a bundle as Java reads it, with the password that all of Java's
// own have.
func keystore(bundle []byte) ([]byte, error) {
	store := jks.New(jks.WithOrderedAliases())
	for i := 0; ; i++ {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}
		entry := jks.TrustedCertificateEntry{CreationTime: time.Unix(0, 0), Certificate: jks.Certificate{Type: "X.509", Content: block.Bytes}}
		if err := store.SetTrustedCertificateEntry(fmt.Sprintf("nacre-%d", i), entry); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err := store.Store(&b, []byte("changeit"))
	return b.Bytes(), err
}

// resolvers are the machine's own name servers.
func resolvers() (list []string) {
	text, _ := os.ReadFile("/etc/resolv.conf")
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) >= 2 && words[0] == "nameserver" {
			if a, err := netip.ParseAddr(words[1]); err == nil {
				list = append(list, netip.AddrPortFrom(a, 53).String())
			}
		}
	}
	return list
}

// roots are where systems keep whom they trust.
var roots = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}

// certificates are the system's; nil: it has none.
func certificates() *os.File {
	for _, place := range roots {
		if f, err := os.Open(place); err == nil {
			return f
		}
	}
	return nil
}
