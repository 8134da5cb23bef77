package compile

import (
	"cmp"
	"path"
	"slices"

	"nacre"
	"nacre/manifest"
	"nacre/policy"
	"nacre/strict"
)

// taken are the places inside that belong to the sandbox itself, with all
// below them (true) or alone (false).
var taken = map[string]bool{"/": false, "/home": false, Home: false, "/tmp": false, "/var": false, "/var/tmp": false,
	"/.nacre-blank": true, "/.nacre-private": true, "/proc": true, "/dev": true,
	"/sys": true, "/run": true, "/usr": true, "/etc": true, "/bin": true, "/sbin": true, "/boot": true,
	"/lib": true, "/lib32": true, "/lib64": true, "/libx32": true, "/var/run": true}

// files compiles the folders and files, and the places of presets.
func (c *compiler) files() {
	for _, f := range c.Manifest.Files {
		c.fail(f.Check())
		places := []string{f.Path}
		if f.Preset != "" {
			places = manifest.Presets()[f.Preset]
		}
		for _, p := range places {
			c.file(f, p)
		}
	}
	c.plan.Identity.HostFolders = len(c.plan.Files) > 0
}

// file compiles one folder or file, or one place of a preset.
func (c *compiler) file(f manifest.File, written string) {
	host := c.resolve(written, path.Dir(c.Subject.Path), c.Owner.Home, f.Origin)
	d := c.auth.Files(host, f.Access)
	entry, summary, inside := any(policy.Root{Path: host, Access: f.Access}), f.Access.String()+" "+host, host
	if f.Preset == "" {
		inside = c.inside(f, host)
		summary += " at " + inside
	} else {
		if c.plan.Image.Kind == nacre.ImageHost && policy.Within("/usr", host) || // the host's /usr is there already
			slices.ContainsFunc(c.plan.Files, func(g nacre.FileGrant) bool { return g.Preset != "" && g.Host == host }) {
			return
		}
		entry, summary, d.Subject = strict.Text{Value: f.Preset}, summary+" (preset "+f.Preset+")", "preset "+f.Preset
	}
	g, ok := c.grant(d, entry, summary, f.Reason, f.Origin)
	if !ok {
		return
	}
	if f.Access == nacre.Write {
		c.writable(host, f)
	}
	c.place(nacre.FileGrant{Grant: g, Host: host, Inside: inside, Access: f.Access, Preset: f.Preset, Optional: f.Preset != ""})
}

// inside is where a folder or file appears.
func (c *compiler) inside(f manifest.File, host string) string {
	inside := c.resolve(cmp.Or(f.At, path.Join(Work, path.Base(host))), "", "", f.Origin)
	if _, ok := policy.At(taken, inside); ok {
		c.fail(strict.Invalid(f.Origin, "at: %s belongs to the sandbox itself", inside).WithHint("choose a place below %s", Work))
	}
	return inside
}

// writable says what a folder granted to write loosens.
func (c *compiler) writable(host string, f manifest.File) {
	c.warn("disk-unbounded", f.Origin, "%s can be filled until the host's disk is full", host)
	if c.Subject.Path == "" || !policy.Within(host, c.Subject.Path) {
		return
	}
	c.warn("manifest-writable", f.Origin, "the agent can change its own manifest %s", c.Subject.Path)
	if c.auth.PathBound {
		c.deny(nacre.Decision{Capability: nacre.CapFiles, Subject: host + " write", Rule: "reserved",
			Reason: "it holds the manifest to whose path the policy binds rules; bind them to its digest", Origin: f.Origin}, nil)
	}
}

// skill places a skill, read-only, where agents look for skills.
func (c *compiler) skill(g nacre.Grant, name string) {
	host := c.Skills[name]
	if host == "" {
		c.fail(strict.Invalid(g.Declared, "skills: there is no skill %q", name))
	}
	c.plan.Identity.HostFolders = true
	for _, agents := range []string{".agents", ".claude"} {
		inside := path.Join(Home, agents, "skills", name)
		g.Summary = "read skill " + name + " at " + inside
		c.place(nacre.FileGrant{Grant: g, Host: host, Inside: inside, Access: nacre.Read})
	}
}

// place adds a grant, unless it meets another inside.
func (c *compiler) place(g nacre.FileGrant) {
	for _, other := range c.plan.Files {
		if policy.Within(other.Inside, g.Inside) || policy.Within(g.Inside, other.Inside) {
			c.fail(strict.Invalid(g.Declared, "%s and %s (%s) would lie in one another inside", g.Inside, other.Inside, other.Declared).
				WithHint("give one of them another place: at: %s/NAME", Work))
		}
	}
	c.plan.Files = append(c.plan.Files, g)
}

// workdir is what the manifest says, else the first granted folder.
func (c *compiler) workdir() {
	c.plan.Workdir = Home
	if c.Manifest.Workdir != "" {
		c.plan.Workdir = c.resolve(c.Manifest.Workdir, "", "", c.Manifest.Origin)
		return
	}
	for _, g := range c.plan.Files {
		if g.Preset == "" && !slices.Contains(c.Owner.PlainFiles, g.Host) {
			c.plan.Workdir = g.Inside
			break
		}
	}
}
