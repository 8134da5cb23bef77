// Package compile turns what a manifest declares and what the owner's policy
// allows into a plan: pure, deterministic, and with a reason and two origins
// for each rule. The same evaluator then answers every question about it.
package compile

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/manifest"
	"nacre/policy"
	"nacre/strict"
)

// Places inside every sandbox, and who the agent is there.
const (
	Home    = "/home/agent"
	Work    = "/work"
	User    = "agent"
	AgentID = 1000
)

// Input is all that a plan is made of.
type Input struct {
	Manifest *manifest.Manifest // what is asked for
	Subject  nacre.Subject      // whose it is; the path is absolute
	Skills   map[string]string  // the folders of the owner's skills, each as its entry says
	Policy   *policy.Policy     // nil allows nothing
	Ceiling  *policy.Policy     // nil: none
	Granted  policy.Rules       // what the owner grants besides, below the policy's denials and the ceiling
	Owner    Owner
}

// Owner is what must be known of the owner and the machine.
type Owner = policy.Owner

// Refusal is the cause of a Denied fault: every decision that denied, and the
// entry that was asked for, as written.
type Refusal struct {
	Decisions []nacre.Decision
	Asked     []any
}

func (r *Refusal) Error() string { return fmt.Sprint(r.Decisions) }

// compiler is one compilation under way. It keeps what was denied and the first
// error: with either there is no plan.
type compiler struct {
	Input
	auth    *policy.Authority
	plan    nacre.Plan
	count   map[nacre.Capability]int
	refusal Refusal
	err     error
}

// Compile makes the plan, or says everything that the policy does not allow.
func Compile(in Input) (nacre.Plan, error) {
	in.Manifest = cmp.Or(in.Manifest, &manifest.Manifest{}) // whose name is refused
	auth, err := Authority(in)
	if err != nil {
		return nacre.Plan{}, err
	}
	c := &compiler{Input: in, auth: auth, count: map[nacre.Capability]int{}}
	for _, step := range []func(){c.identity, c.image, c.files, c.workdir, c.environment, c.named, c.limits, c.tiers} {
		step()
	}
	if len(c.refusal.Decisions) > 0 {
		c.fail(fault.Wrap(fault.Denied, &c.refusal, "%s: the policy does not allow", in.Manifest.Origin.File))
	}
	if c.err != nil {
		return nacre.Plan{}, c.err
	}
	c.plan.Digest = Digest(c.plan)
	return c.plan, nil
}

// Authority makes the evaluator of an input.
func Authority(in Input) (*policy.Authority, error) {
	return policy.New(in.Owner, in.Subject, in.Policy, in.Ceiling, in.Granted)
}

// grant numbers an allowed grant, or notes a denial of what was asked.
func (c *compiler) grant(d nacre.Decision, asked any, summary, why string, declared nacre.Origin) (nacre.Grant, bool) {
	if d.Effect != nacre.Allow {
		c.deny(d, asked)
		return nacre.Grant{}, false
	}
	c.count[d.Capability]++
	if why != "" {
		why = "the agent says: " + why
	}
	return nacre.Grant{ID: fmt.Sprintf("%s.%d", d.Capability, c.count[d.Capability]), Capability: d.Capability,
		Summary: summary, Reason: cmp.Or(d.Reason, why, "declared, and allowed by the policy"), Declared: declared, Allowed: d.Origin}, true
}

func (c *compiler) fail(err error) { c.err = cmp.Or(c.err, err) }

func (c *compiler) resolve(written, base, home string, from nacre.Origin) string {
	full, err := policy.Resolve(written, base, home, from)
	c.fail(err)
	return full
}

func (c *compiler) deny(d nacre.Decision, asked any) {
	if !slices.Contains(c.refusal.Decisions, d) {
		c.refusal.Decisions, c.refusal.Asked = append(c.refusal.Decisions, d), append(c.refusal.Asked, asked)
	}
}

// builtIn is the decision on what every sandbox has, or may ask for freely.
func builtIn(capability nacre.Capability, reason string) nacre.Decision {
	return nacre.Decision{Effect: nacre.Allow, Capability: capability, Rule: "built in", Reason: reason,
		Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
}

func (c *compiler) warn(name string, at nacre.Origin, format string, args ...any) {
	c.plan.Warnings = append(c.plan.Warnings, nacre.Warning{Name: name, Detail: fmt.Sprintf(format, args...), Origin: at})
}

// Digest is the SHA-256 of the plan's canonical JSON without its digest.
func Digest(p nacre.Plan) string {
	p.Digest = ""
	b, err := json.Marshal(p)
	if err != nil { // a plan holds nothing that JSON cannot
		panic(err)
	}
	if bytes.Contains(b, []byte(`\ufffd`)) { // to JSON all that is no UTF-8 is the same
		b = fmt.Appendf(b, "%#v", p)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(b))
}

func (c *compiler) identity() {
	m, p := c.Manifest, &c.plan
	*p = nacre.Plan{Version: 1, Name: m.Name, Description: m.Description, Command: m.Command, Loopback: m.Loopback,
		Subject: c.Subject, Blocked: c.auth.Blocked().Patterns(),
		Files: []nacre.FileGrant{}, Network: []nacre.NetworkGrant{}, Secrets: []nacre.NamedGrant{}, Models: []nacre.NamedGrant{},
		Tools: []nacre.NamedGrant{}, Messages: []nacre.NamedGrant{}, Schedule: []nacre.NamedGrant{}, Devices: []nacre.NamedGrant{},
		Syscalls: []nacre.NamedGrant{}, Accepted: []nacre.Tier{}, Warnings: []nacre.Warning{}}
	c.fail(m.Check())
	if len(p.Command) == 0 || p.Command[0] == "" || slices.ContainsFunc(p.Command, func(s string) bool { return strings.ContainsRune(s, 0) }) {
		c.fail(strict.Invalid(m.Origin, "command: expected a program and its arguments, without NUL").
			WithHint("add command: [PROGRAM, ARGUMENT] to the manifest, or put it after -- on the command line"))
	}
	p.Identity = nacre.Identity{UID: AgentID, Hostname: p.Name}
	for _, u := range c.auth.Unblocked {
		c.warn("unblocked-"+u.Value, u.Origin, "%s is not masked in granted folders", u.Value)
	}
}

// images are the ways of giving an image, and what kind it is then.
var images = map[string]nacre.ImageKind{"oci": nacre.ImageOCI, "layout": nacre.ImageOCI, "archive": nacre.ImageOCI,
	"directory": nacre.ImageDirectory}

func (c *compiler) image() {
	asked := c.Manifest.Image
	d, image := builtIn(nacre.CapImage, "a read-only, filtered view of the host's own programs"), nacre.Image{Kind: nacre.ImageHost}
	if asked.Value != "" && asked.Value != "host" {
		form, place, _ := strings.Cut(asked.Value, ":")
		if form != "oci" {
			place = c.resolve(place, path.Dir(c.Subject.Path), c.Owner.Home, asked.Origin)
		}
		d, _ = c.auth.Named(manifest.Named{Capability: nacre.CapImage, Name: form + ":" + place})
		if refused, ok := c.auth.Refused(d, place, nacre.Read); ok && form != "oci" {
			d = refused
		}
		if image.Kind = images[form]; image.Kind == "" {
			c.fail(strict.Invalid(asked.Origin, "image: expected host, oci:, directory:, layout: or archive:, found %q", asked.Value))
		}
		image.Reference = strings.TrimPrefix(strings.TrimPrefix(form+":"+place, "directory:"), "oci:")
	}
	image.Grant, _ = c.grant(d, nil, strings.TrimSpace(string(image.Kind)+" "+image.Reference), "", cmp.Or(asked.Origin, d.Origin))
	c.plan.Image = image
}
