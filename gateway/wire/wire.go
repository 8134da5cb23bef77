// Package wire is what the supervisor and a sandbox's gateway say to each other:
// a configuration once, then messages in both directions.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/gateway/model"
)

// The descriptors that a gateway is started with.
const (
	ControlFD = 3 // sequenced-packet socket to the supervisor
	ConfigFD  = 4 // pipe with the Config, read to its end
	SystemFD  = 5 // the system's certificates
	StreamFD  = 6 // the first of the tool servers' that speak in lines
)

// Config is all that a gateway knows. The zero value reaches nothing.
type Config struct {
	Rules       egress.Rules
	Resolvers   []string // name servers outside, as address:port
	Secrets     []Secret
	HostKeys    []HostKey // of SSH servers outside, as the owner knows them
	Models      []Model
	Tools       []ToolServer
	Proxy       string        // http:// or socks5:// host:port, through which hosts outside are reached
	ProxyLogin  []byte        // user:password
	Authorities []byte        // PEM: whom to trust outside, besides the system's
	System      io.Reader     `json:"-"` // likewise the system's, which many need not read; nil: none
	Own         []netip.Addr  // addresses of this machine
	IPv6        bool          // listeners for it follow
	Learn       bool          // names are answered and requests are heard, to record and to refuse them
	Ask         time.Duration // so long requests wait for the owner to be asked; 0: nobody is
}

// Secret is a value that goes out with requests, bound to hosts and to a place.
type Secret struct {
	Grant       string // the id of what lets it be used
	Name        string
	Value       []byte
	Fingerprint string // for the audit
	Hosts       []string
	Slot        string // bearer, basic, header:NAME, query:NAME, ssh, ssh:USER, sigv4:REGION/SERVICE, oauth
	Plain       bool   // its hosts are on this machine: without TLS too
	Token       string // with oauth: where tokens are fetched
	Scopes      []string
	Shaped      []string // what the agent has in its place
}

// Shortest is the shortest secret that replies can be searched for: a shorter one
// is found in whatever is long enough.
const Shortest = 8

// Maskable tells whether a reply can be searched for the secret, and for a password
// in it.
func (s Secret) Maskable() bool {
	_, password, both := bytes.Cut(s.Value, []byte(":"))
	return len(s.Value) >= Shortest && (s.Slot != "basic" || !both || len(password) >= Shortest)
}

// HostKey is one that an SSH server may have.
type HostKey struct {
	Host string // its name inside
	Port int
	Key  []byte // as in RFC 4253, 6.6
}

// Model is a grant of models at one provider. The network grant for its name
// inside is among the rules.
type Model struct {
	Inside string // its name inside
	Host   string // where it is
	Port   int
	Plain  bool // without TLS outside
	API    model.API
	Models []string
	Query  []string     // parameters that are passed on
	Bound  string       // the field that bounds an answer
	Prices model.Prices // at this provider
	Money  bool         // its budget is in money too: what has no price does not go out
}

// ToolServer is where the tools of some grants are. The network grants for its name
// inside are among the rules, with the same ids.
type ToolServer struct {
	Name   string
	Inside string // its name inside
	Host   string // where it is
	Port   int
	Plain  bool // without TLS outside: on this machine
	Path   string
	Skill  string        // that it is; it has no host then
	Stream int           // the descriptor at which it speaks in lines, in place of HTTP; 0: none
	Answer time.Duration // how long an answer may take; 0: the usual
	Grants []nacre.NamedGrant
}

// Zero forgets the values.
func (c *Config) Zero() {
	for _, s := range c.Secrets {
		clear(s.Value)
	}
	clear(c.ProxyLogin)
}

// Write writes a configuration.
func (c *Config) Write(to io.Writer) error {
	b, err := json.Marshal(c)
	if err == nil {
		_, err = to.Write(b)
	}
	clear(b)
	return err
}

// ReadConfig reads one to its end.
func ReadConfig(from io.Reader) (c Config, err error) {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err = d.Decode(&c); err == nil && d.More() {
		err = errors.New("more than one configuration")
	}
	return c, err
}

// Message is one packet. Exactly one of its fields is set.
type Message struct {
	Hello   *Hello  // from the gateway, first
	Sockets bool    // to the gateway: carries what was opened inside
	Ready   bool    // from the gateway: it answers
	Change  *Change // to the gateway: what its grants are now
	Stop    bool    // to the gateway: say what is left to say, and end
	Record  *Record // from the gateway: to be put into the audit
	Ack     *Ack    // to the gateway: it is there, or will not be

	Reserve  *Reserve  // from the gateway: before a request for a model goes out
	Reserved *Reserved // to the gateway: it may, or may not
	Settle   *Settle   // from the gateway: what it used

	Renew   *Renew   // from the gateway: a secret that it will exchange
	Renewed *Renewed // to the gateway: here it is; what came of it is kept
	Rotated *Rotated // from the gateway: what came of it

	Ask    *Ask    // from the gateway: may it go out
	Answer *Answer // to the gateway: it may, or may not
}

// Hello is what a gateway says about itself once it is locked in.
type Hello struct {
	Root []byte // PEM: the authority that its certificates are signed by
	SSH  string // the line for known_hosts with its SSH host key
}

// Change is what may be used from now on: of the grants that the gateway was started
// with those with these ids, and besides them destinations.
type Change struct {
	Grants  []string
	Network []nacre.NetworkGrant `json:",omitempty"`
}

// Record is an event for the audit.
type Record struct {
	ID    uint64
	Event nacre.Event
}

// What reasons of records are or begin with: a denial that is only counted, and what
// was allowed and then failed.
const (
	Again   = "denied again"
	Allowed = "allowed, "
)

// Attempts is how many attempts a record stands for.
func Attempts(e nacre.Event) int {
	count, err := strconv.Atoi(e.Detail["repeated"])
	if err != nil || count < 0 {
		return 1
	}
	if e.Decision == nacre.Deny && e.Reason != Again {
		count++
	}
	return count
}

// Ack answers a Record.
type Ack struct {
	ID    uint64
	Error string `json:",omitempty"`
}
