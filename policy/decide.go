package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nacre"
	"nacre/manifest"
	"nacre/strict"
)

// Files decides about a folder or file of the host: an absolute, clean path.
func (a *Authority) Files(path string, access nacre.Access) nacre.Decision {
	root := Root{Path: path, Access: access}
	d := nacre.Decision{Capability: nacre.CapFiles, Subject: path + " " + access.String(),
		Remedy: "files: {roots: [" + strict.Flow(root) + "]}"}
	if refused, ok := a.Refused(d, path, access); ok {
		return refused
	}
	return a.judge(d, func(*Rules) rule { return rule{} }, func(r *Rules) rule { return r.Files.best(path, access) })
}

// Refused completes d where the place is reserved or its name blocked,
// whatever the roots say.
func (a *Authority) Refused(d nacre.Decision, path string, access nacre.Access) (nacre.Decision, bool) {
	if why := a.never(path, access); why != "" {
		d.Effect, d.Rule, d.Reason, d.Origin, d.Remedy = nacre.Deny, "reserved", why, nacre.Origin{File: nacre.OriginBuiltIn}, ""
		return d, true
	}
	pattern, ok := a.blocked.Match(path)
	if ok {
		d.Effect, d.Rule, d.Reason, d.Origin, d.Remedy = nacre.Deny, "blocked."+pattern, "the name is blocked wherever it is", a.origins[pattern], ""
		if slices.Contains(builtIn, pattern) {
			d.Remedy = "files: {unblocked: [" + strict.Quote(pattern) + "]}"
		}
	}
	return d, ok
}

// best is the narrowest root around the path, if its access suffices and no
// narrower root below the path allows less.
func (f *FileRules) best(path string, access nacre.Access) rule {
	var found rule
	var around Root
	for i, r := range f.Roots {
		switch {
		case Within(r.Path, path):
			if len(r.Path) > len(around.Path) || len(r.Path) == len(around.Path) && r.Access > around.Access {
				found, around = rule{i + 1, r.Origin, r.Reason}, r
			}
		case Within(path, r.Path) && r.Access < access:
			return rule{reason: fmt.Sprintf(": %s below it is at most %s (%s)", r.Path, r.Access, r.Origin)}
		}
	}
	if found.n > 0 && around.Access < access {
		return rule{reason: fmt.Sprintf(": %s is at most %s (%s)", around.Path, around.Access, around.Origin)}
	}
	return found
}

// never is why a place can be granted by nobody; empty where it can be.
func (a *Authority) never(path string, access nacre.Access) string {
	for place, below := range reserved {
		if path == place || below && Within(place, path) {
			return place + " can never be granted"
		}
	}
	for _, p := range a.facts.Policies {
		if Within(path, p) {
			return "it holds the policy " + p + " itself; grant a narrower folder"
		}
	}
	for _, p := range a.facts.Own {
		if Within(path, p) && access >= nacre.Write {
			return "it holds Nacre's own " + p + ", which no agent may change; grant a narrower folder"
		}
	}
	return ""
}

// Preset decides about a read-only preset, by its name and its places.
func (a *Authority) Preset(name string, places []string) nacre.Decision {
	d, _ := a.Named(manifest.Named{Capability: nacre.CapFiles, Name: name})
	d.Subject = "preset " + name
	for _, p := range places {
		if refused, ok := a.Refused(d, p, nacre.Read); ok {
			return refused
		}
	}
	return d
}

// Network decides about a destination, or a single request.
func (a *Authority) Network(asked manifest.Network) nacre.Decision {
	d := nacre.Decision{Capability: nacre.CapNetwork, Subject: asked.Scheme + "://" + asked.Host + " " + fmt.Sprint(asked.Ports),
		Remedy: "network: [" + strict.Flow(asked) + "]"}
	return a.judge(d, func(r *Rules) rule {
		for i, deny := range r.Deny.Network {
			if deny.touches(asked) {
				return rule{n: i + 1, origin: deny.Origin}
			}
		}
		return rule{}
	}, func(r *Rules) rule {
		for i, n := range r.Network {
			if Covers(n, asked) {
				return rule{i + 1, n.Origin, n.Reason}
			}
		}
		return rule{}
	})
}

// Named decides about everything that is known by its name. Where it allows,
// the amounts of what it returns are the least of what was asked and allowed.
func (a *Authority) Named(asked manifest.Named) (nacre.Decision, manifest.Named) {
	granted := asked
	granted.Amounts = map[string]int64{}
	maps.Copy(granted.Amounts, asked.Amounts)
	if asked.Entry == nil {
		asked.Entry = asked.Name
	}
	remedy := fmt.Sprintf("%s: [%s]", asked.Capability, strict.Flow(asked.Entry))
	switch asked.Capability {
	case nacre.CapFiles:
		remedy = "files: {presets: [" + strict.Quote(asked.Name) + "]}"
	case nacre.CapImage:
		remedy = "images: [" + strict.Quote(asked.Name) + "]"
	}
	d := nacre.Decision{Capability: asked.Capability, Subject: asked.Name, Remedy: remedy}
	return a.judge(d, func(r *Rules) rule {
		for i, t := range r.Deny.names(asked.Capability) {
			if manifest.Wild(t.Value, asked.Name) {
				return rule{n: i + 1, origin: t.Origin}
			}
		}
		return rule{}
	}, func(r *Rules) rule {
		n := 0
		for _, allowed := range r.named() {
			if allowed.Capability != asked.Capability {
				continue
			}
			n++
			if !allowed.Covers(asked) {
				continue
			}
			for key, most := range allowed.Amounts {
				if most > 0 && (granted.Amounts[key] == 0 || most < granted.Amounts[key]) {
					granted.Amounts[key] = most
				}
			}
			return rule{n, allowed.Origin, allowed.Reason}
		}
		return rule{}
	}), granted
}

// Tier decides whether a lower tier may be accepted.
func (a *Authority) Tier(t nacre.Tier) nacre.Decision {
	d, _ := a.Named(manifest.Named{Capability: capTier, Name: string(t)})
	return d
}

// Limit decides about an amount of one limit, and says what the most is.
func (a *Authority) Limit(name string, amount int64) (nacre.Decision, int64) {
	d := nacre.Decision{Capability: nacre.CapLimits, Subject: name, Effect: nacre.Allow}
	most := int64(0)
	for i, l := range a.layers {
		for _, limit := range l.rules.Limits.Each() {
			if limit.Name != name {
				continue
			}
			d.Subject = name + " " + limit.Format(amount)
			bound, origin, rule := limit.N, limit.Origin, l.name+".limits."+name
			if bound == 0 {
				bound, origin, rule = limit.Default, nacre.Origin{File: nacre.OriginBuiltIn}, "default.limits."+name
			}
			if i == 0 || bound < most {
				most, d.Origin, d.Rule, d.Reason = bound, origin, rule, "the most is "+limit.Format(bound)
			}
			if amount > bound && d.Effect == nacre.Allow {
				d.Effect, d.Remedy = nacre.Deny, fmt.Sprintf("limits: {%s: %s}", name, limit.Format(amount))
				if l.name == "ceiling" {
					d.Remedy += " # in the administrator's ceiling"
				}
			}
		}
	}
	if d.Rule == "" {
		return nacre.Decision{Capability: nacre.CapLimits, Subject: name, Rule: "default", Reason: "there is no such limit"}, 0
	}
	return d, most
}

// cutHome cuts ~ from ~/….
func cutHome(p string) (string, bool) {
	if rest, ok := strings.CutPrefix(p, "~"); ok && strings.HasPrefix(rest, "/") {
		return rest, true
	}
	return p, false
}
