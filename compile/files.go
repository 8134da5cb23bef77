package compile

import (
	"path"
	"slices"
	"strings"

	"nacre"
	"nacre/manifest"
	"nacre/policy"
)

// taken are the places inside that belong to the sandbox itself, with all
// below them (true) or alone (false).
var taken = map[string]bool{"/": false, "/home": false, Home: false, "/tmp": false, "/var": false, "/proc": true, "/dev": true,
	"/sys": true, "/run": true, "/usr": true, "/etc": true, "/bin": true, "/sbin": true, "/boot": true,
	"/lib": true, "/lib32": true, "/lib64": true, "/libx32": true, "/var/run": true}

// files compiles the manifest's files, then the command line's.
func (c *compiler) files() error {
	for _, f := range c.Manifest.Files {
		if err := c.file(f, path.Dir(c.ManifestPath)); err != nil {
			return err
		}
	}
	for _, f := range c.Files {
		if err := c.file(f, c.Owner.Cwd); err != nil {
			return err
		}
	}
	c.plan.Identity.HostFolders = len(c.plan.Files) > 0
	return nil
}

func (c *compiler) file(f manifest.File, base string) error {
	if f.Preset != "" {
		return c.preset(f)
	}
	host, err := policy.Resolve(f.Path, base, c.Owner.Home, f.Origin)
	if err != nil {
		return err
	}
	at := f.At
	if at == "" {
		at = path.Join(Work, path.Base(host))
	}
	inside, err := policy.Resolve(at, "", "", f.Origin)
	if err != nil {
		return err
	}
	if _, ok := policy.At(taken, inside); ok {
		return manifest.Invalid(f.Origin, "at: %s belongs to the sandbox itself", inside).WithHint("choose a place below %s", Work)
	}
	g, ok := c.grant(c.auth.Files(host, f.Access), policy.Root{Path: host, Access: f.Access}, f.Access.String()+" "+host+" at "+inside, f.Reason, f.Origin)
	if !ok {
		return nil
	}
	if f.Access == nacre.Write {
		c.writable(host, f)
	}
	return c.place(nacre.FileGrant{Grant: g, Host: host, Inside: inside, Access: f.Access})
}

// writable says what a folder granted to write loosens.
func (c *compiler) writable(host string, f manifest.File) {
	c.warn("disk-unbounded", f.Origin, "%s can be filled until the host's disk is full", host)
	if c.ManifestPath == "" || !policy.Within(host, c.ManifestPath) {
		return
	}
	c.warn("manifest-writable", f.Origin, "the agent can change its own manifest %s", c.ManifestPath)
	if c.auth.PathBound {
		c.deny(nacre.Decision{Capability: nacre.CapFiles, Subject: host + " write", Rule: "reserved",
			Reason: "it holds the manifest to whose path the policy binds rules; bind them to its digest", Origin: f.Origin}, nil)
	}
}

func (c *compiler) preset(f manifest.File) error {
	places := manifest.Preset(f.Preset, c.Owner.Home)
	if c.plan.Image.Kind == nacre.ImageHost { // the host's /usr is there already
		places = slices.DeleteFunc(places, func(p string) bool { return policy.Within("/usr", p) })
	}
	d := c.auth.Preset(f.Preset, places)
	for _, p := range places {
		if slices.ContainsFunc(c.plan.Files, func(g nacre.FileGrant) bool { return g.Preset != "" && g.Host == p }) {
			continue
		}
		g, ok := c.grant(d, nil, "read "+p+" (preset "+f.Preset+")", f.Reason, f.Origin)
		if !ok {
			return nil
		}
		if err := c.place(nacre.FileGrant{Grant: g, Host: p, Inside: p, Access: nacre.Read, Preset: f.Preset, Optional: true}); err != nil {
			return err
		}
	}
	return nil
}

// place adds a grant, unless it meets another inside.
func (c *compiler) place(g nacre.FileGrant) error {
	for _, other := range c.plan.Files {
		if policy.Within(other.Inside, g.Inside) || policy.Within(g.Inside, other.Inside) {
			return manifest.Invalid(g.Declared, "%s and %s (%s) would lie in one another inside", g.Inside, other.Inside, other.Declared).
				WithHint("give one of them another place: at: %s/NAME", Work)
		}
	}
	c.plan.Files = append(c.plan.Files, g)
	return nil
}

// workdir is what the manifest says, else the first granted folder.
func (c *compiler) workdir() error {
	c.plan.Workdir = Home
	if dir := c.Manifest.Workdir; dir != "" {
		if !strings.HasPrefix(dir, "/") {
			return manifest.Invalid(c.Manifest.Origin, "workdir: expected an absolute path inside, found %q", dir)
		}
		var err error
		c.plan.Workdir, err = policy.Resolve(dir, "", "", c.Manifest.Origin)
		return err
	}
	for _, g := range c.plan.Files {
		if g.Preset == "" && !slices.Contains(c.Owner.PlainFiles, g.Host) {
			c.plan.Workdir = g.Inside
			break
		}
	}
	return nil
}
