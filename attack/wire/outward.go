package wire

import "strings"

// Outward tells where the judge serves what a sandbox with a network is granted:
// GET, HEAD and POST below /open/ of one host, and WebSockets below /chat/, with a
// credential of the owner's.
// The zero value is a sandbox without a network.
type Outward struct {
	Host      string   `json:"host"`      // the granted host, by its name inside
	Second    string   `json:"second"`    // granted likewise, but for the credential
	Rebound   string   `json:"rebound"`   // a granted name that the judge's resolver leads to private addresses
	Other     string   `json:"other"`     // served at the same ports, and not granted
	TLSPort   int      `json:"tls_port"`  // HTTP/1.1 and HTTP/2
	RawPort   int      `json:"raw_port"`  // HTTP/1.1 only, where each byte is looked at
	DNSPort   int      `json:"dns_port"`  // the judge's resolver
	Addresses []string `json:"addresses"` // of this machine, besides loopback
}

// What stands inside in the place of the credential: a variable, and how it begins.
const (
	PlaceholderVariable = "NACRE_ATTACK_KEY"
	PlaceholderPrefix   = "judgekey_"
)

// Token is what a probe sends where nothing may arrive: letters, digits and
// hyphens, so that it fits into a name, a path and a header.
func Token(run, id string) string { return "nacre" + run + "-" + strings.Replace(id, ".", "-", 1) }

// FindToken finds a token of a run, and whose it is.
func FindToken(run, text string) (id string, ok bool) {
	_, rest, ok := strings.Cut(strings.ToLower(text), "nacre"+run+"-")
	end := 0
	for end < len(rest) && end < 60 && (rest[end] == '-' || 'a' <= rest[end] && rest[end] <= 'z' || '0' <= rest[end] && rest[end] <= '9') {
		end++
	}
	return strings.Replace(rest[:end], "-", ".", 1), ok
}
