package launch

import (
	"bytes"
	"net/netip"
	"os"
	"strings"

	"nacre"
	"nacre/gateway/capture"
	"nacre/sandbox/blueprint"
)

// bundle is where programs inside find whom to trust.
const bundle = "/etc/ssl/certs/ca-certificates.crt"

// bundles are the places where programs look by themselves.
var bundles = []string{bundle, "/etc/pki/tls/certs/ca-bundle.crt"}

// variables name the bundle to programs that look elsewhere.
var variables = []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "CODEX_CA_CERTIFICATE",
	"PIP_CERT", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "NPM_CONFIG_CAFILE"}

func furnish(root []byte) (files []blueprint.File, list []nacre.Variable, err error) {
	files = []blueprint.File{{Path: "/etc/resolv.conf", Mode: 0o444,
		Content: "nameserver " + capture.Resolver().String() + "\noptions timeout:2 attempts:2\n"}}
	for _, place := range bundles {
		files = append(files, blueprint.File{Path: place, Content: string(root), Mode: 0o444})
	}
	for _, name := range variables {
		list = append(list, nacre.Variable{Name: name, Value: bundle})
	}
	return files, list, nil
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

// authorities are the system's certificates and further ones.
func authorities(more []byte) []byte {
	for _, place := range roots {
		if text, err := os.ReadFile(place); err == nil {
			return bytes.Join([][]byte{text, more}, []byte("\n"))
		}
	}
	return more
}
