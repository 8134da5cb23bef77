package launch

import (
	"crypto/rand"
	"maps"
	"math/big"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/gateway/wire"
	"nacre/manifest"
)

// shapes are placeholders that programs take for what they look like: where they
// are found, and their form as in a manifest.
var shapes = map[string][]string{
	"anthropic": {"ANTHROPIC_API_KEY=sk-ant-api03-" + strings.Repeat("*", 93) + "AA"},
	"openai":    {"OPENAI_API_KEY=sk-proj-" + strings.Repeat("*", 48)},
	"github":    {"GITHUB_TOKEN=ghp_" + strings.Repeat("*", 36)},
	"slack":     {"SLACK_BOT_TOKEN=xoxb-" + strings.Repeat("*", 48)},
	"aws":       {"AWS_ACCESS_KEY_ID=AKIA" + strings.Repeat("#", 16), "AWS_SECRET_ACCESS_KEY=" + strings.Repeat("*", 40)},
}

// items are what a secret's detail lists.
func items(s nacre.NamedGrant, key string) []string {
	if s.Detail[key] == "" {
		return nil
	}
	return strings.Split(s.Detail[key], manifest.Separator)
}

// credible refuses token endpoints that anybody could read the way to, and
// placeholders that nobody knows.
func credible(p nacre.Plan) error {
	for _, s := range p.Secrets {
		if err := endpoint(s); err != nil {
			return err
		}
		for _, shape := range items(s, "placeholder") {
			if _, known := shapes[shape]; !known && !strings.Contains(shape, "=") {
				return fault.New(fault.Unsupported, "the secret %s has the placeholder %q, which is not known", s.Name, shape).
					WithHint("say VARIABLE=TEXT, with * for any letter or digit; known are %s", strings.Join(slices.Sorted(maps.Keys(shapes)), ", "))
			}
		}
	}
	return nil
}

// endpoint looks at where tokens are fetched.
func endpoint(s nacre.NamedGrant) error {
	if s.Detail["token"] == "" {
		return nil
	}
	u, err := url.Parse(s.Detail["token"])
	if err != nil {
		return fault.Wrap(fault.Unsupported, err, "the secret %s", s.Name)
	}
	a, err := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && (err != nil || !a.IsLoopback()) {
		return fault.New(fault.Unsupported, "the secret %s would be sent to %s in the clear", s.Name, u.Host).WithHint("token: https://…; without TLS only on this machine's loopback")
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return fault.New(fault.Unsupported, "the secret %s has a token endpoint with the port %s", s.Name, u.Port())
	}
	return nil
}

// complete adds to a secret what its kind needs, sees to it that its value is of
// that kind, and returns what the agent has in its place.
func complete(s nacre.NamedGrant, to *wire.Secret) (told []nacre.Variable, err error) {
	to.Token, to.Scopes = s.Detail["token"], items(s, "scopes")
	kind, _, _ := strings.Cut(to.Slot, ":")
	switch kind {
	case "oauth":
		_, err = to.Client()
	case "sigv4":
		_, err = to.Pair()
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "the secret %s: %v", s.Name, err).WithHint("nacre secret rotate %s", s.Name)
	}
	for _, shape := range items(s, "placeholder") {
		list := []string{shape}
		if known, ok := shapes[shape]; ok {
			list = known
		}
		for _, one := range list {
			variable, form, _ := strings.Cut(one, "=")
			text := fill(form)
			to.Shaped = append(to.Shaped, text)
			told = append(told, nacre.Variable{Name: variable, Value: text})
		}
	}
	return told, nil
}

const (
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	all   = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// fill makes a placeholder of a form: it says whose it is, and the rest is chance,
// so that it is found wherever it turns up.
func fill(form string) string {
	b := []byte(form)
	for i, c := range b {
		switch c {
		case '*':
			b[i] = pick(all)
		case '#':
			b[i] = pick(upper)
		}
	}
	const mark = "nacre"
	if at := strings.IndexAny(form, "*#"); at >= 0 && len(form)-at > len(mark) {
		said := mark
		if form[at] == '#' {
			said = strings.ToUpper(mark)
		}
		copy(b[at:], said)
	}
	return string(b)
}

func pick(from string) byte {
	n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(from)))) // never fails (crypto/rand)
	return from[n.Int64()]
}
