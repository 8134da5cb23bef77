package launch

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"nacre"
	"nacre/egress"
	"nacre/fault"
	"nacre/gateway/wire"
	"nacre/manifest"
	"nacre/pattern"
)

// bound refuses secrets for hosts at which nothing could put them into a
// request.
func bound(p nacre.Plan) error {
	for _, s := range p.Secrets {
		for _, at := range placesOf(s) {
			host := at.Host
			if !slices.ContainsFunc(p.Network, func(n nacre.NetworkGrant) bool { return carries(n, s.Detail["slot"]) && reaches(n, at) }) {
				if forSSH(s.Detail["slot"]) {
					return fault.New(fault.Unsupported, "the secret %s is for %s, which is not granted as ssh", s.Name, at).
						WithHint("grant network: [{host: %s, scheme: ssh, access: git}]", host)
				}
				return fault.New(fault.Unsupported, "the secret %s is for %s, which is not granted as http or https that the gateway can look into", s.Name, at).
					WithHint("grant network: [{host: %s}], and not as tcp or with tls: opaque", host)
			}
		}
	}
	return nil
}

// placesOf are where a secret may go. What is no place is nowhere.
func placesOf(s nacre.NamedGrant) (list []egress.Place) {
	for text := range strings.SplitSeq(s.Detail["hosts"], manifest.Separator) {
		if at, ok := egress.ParsePlace(text); ok {
			list = append(list, at)
		}
	}
	return list
}

// carries tells whether a secret of a slot can be put into what goes to a grant.
func carries(n nacre.NetworkGrant, slot string) bool {
	if forSSH(slot) {
		return n.Scheme == "ssh"
	}
	return strings.HasPrefix(n.Scheme, "http") && n.TLS == ""
}

// forSSH tells whether a secret is a key to log in with.
func forSSH(slot string) bool {
	kind, _, _ := strings.Cut(slot, ":")
	return kind == "ssh"
}

// reaches tells whether a grant is for some of what a secret is for.
func reaches(n nacre.NetworkGrant, at egress.Place) bool {
	name := n.Host
	if n.As != "" {
		name = n.As
	}
	return (at.Port == 0 || slices.Contains(n.Ports, at.Port)) && (egress.CoversHost(at.Host, name) || egress.CoversHost(name, at.Host))
}

// near tells whether all that a secret's hosts lead to is on this machine.
func near(p nacre.Plan, places []egress.Place) bool {
	return !slices.ContainsFunc(places, func(at egress.Place) bool {
		return slices.ContainsFunc(p.Network, func(n nacre.NetworkGrant) bool {
			a, err := netip.ParseAddr(n.Host)
			return reaches(n, at) && (err != nil || !a.IsLoopback())
		})
	})
}

// secrets puts what the plan names into the configuration, and returns what the
// agent itself is to get.
func (l *Launcher) secrets(p nacre.Plan, config *wire.Config) (revealed []nacre.Variable, err error) {
	var names []string
	for _, s := range p.Secrets {
		names = append(names, s.Name)
	}
	for _, s := range config.Secrets { // of models
		names = append(names, s.Name)
	}
	if l.ProxySecret != "" {
		names = append(names, l.ProxySecret)
	}
	if len(names) == 0 {
		return nil, nil
	}
	if l.Secrets == nil {
		return nil, fault.New(fault.Unsupported, "the plan grants secrets, and there is no vault here")
	}
	values, err := l.Secrets(names)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, value := range values {
			value.Zero()
		}
	}()
	config.ProxyLogin = slices.Clone(values[l.ProxySecret].Reveal())
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	for i := range config.Secrets {
		s, value := &config.Secrets[i], values[config.Secrets[i].Name]
		s.Value, s.Fingerprint = slices.Clone(value.Reveal()), value.Fingerprint(salt)
	}
	for _, s := range p.Secrets {
		value := values[s.Name]
		if s.Detail["reveal"] != "" {
			revealed = append(revealed, nacre.Variable{Name: variable(s.Name), Value: string(value.Reveal())})
			continue
		}
		places := placesOf(s)
		config.Secrets = append(config.Secrets, wire.Secret{Grant: s.ID, Name: s.Name, Value: slices.Clone(value.Reveal()), Fingerprint: value.Fingerprint(salt),
			Hosts: places, Slot: s.Detail["slot"], Plain: near(p, places)})
		told, err := complete(s, &config.Secrets[len(config.Secrets)-1])
		if err != nil {
			return nil, err
		}
		revealed = append(revealed, told...)
	}
	return revealed, l.fitting(*config)
}

// fitting refuses values that cannot go where they are to go, or that could not be
// masked in a reply.
func (l *Launcher) fitting(config wire.Config) error {
	for _, s := range append(slices.Clone(config.Secrets), wire.Secret{Name: l.ProxySecret, Value: config.ProxyLogin}) {
		if !forSSH(s.Slot) {
			if bytes.ContainsAny(s.Value, "\r\n") {
				return fault.New(fault.Usage, "the secret %s has several lines, and goes where there is one", s.Name)
			}
			continue
		}
		if _, err := ssh.ParsePrivateKey(s.Value); err != nil {
			return fault.New(fault.Usage, "the secret %s is not a private key without a passphrase", s.Name).
				WithHint("ssh-keygen -t ed25519 -N '' -f KEY makes one; nacre secret set %s < KEY keeps it", s.Name)
		}
	}
	for _, s := range config.Secrets {
		if !s.Maskable() {
			return fault.New(fault.Usage, "the secret %s is too short: a reply that says it again could not be masked", s.Name).
				WithHint("it takes %d bytes, and so does the password in USER:PASSWORD", wire.Shortest)
		}
	}
	return nil
}

var unusual = pattern.Of(`[^A-Z0-9]`)

// variable is where the agent finds a secret that it is given itself.
func variable(name string) string { return unusual().ReplaceAllString(strings.ToUpper(name), "_") }
