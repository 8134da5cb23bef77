package policy

import (
	"cmp"
	"fmt"
	"slices"

	"nacre"
	"nacre/manifest"
)

// Files decides about a folder or file of the host: an absolute, clean path.
func (a *Authority) Files(path string, access nacre.Access) nacre.Decision {
	d := nacre.Decision{Capability: nacre.CapFiles, Subject: path + " " + access.String()}
	if refused, ok := a.Refused(d, path, access); ok {
		return refused
	}
	return a.judge(d, func(*Rules) rule { return rule{} }, func(r *Rules) rule {
		best := r.Files.best(path, access)
		for i, t := range r.Files.Presets {
			holds := func(place string) bool {
				place, err := Resolve(place, "", a.owner.Home, t.Origin)
				return err == nil && Within(place, path)
			}
			if best.n == 0 && access == nacre.Read && slices.ContainsFunc(manifest.Presets()[t.Value], holds) {
				best = rule{n: i + 1, origin: t.Origin}
			}
		}
		return best
	})
}

// Refused completes d where the place is reserved or its name blocked,
// whatever the roots say.
func (a *Authority) Refused(d nacre.Decision, path string, access nacre.Access) (nacre.Decision, bool) {
	d.Effect, d.Rule, d.Origin = nacre.Deny, "reserved", nacre.Origin{File: nacre.OriginBuiltIn}
	if place, ok := At(reserved, path); ok {
		d.Reason = place + " can never be granted"
		return d, true
	}
	for _, p := range a.owner.Policies {
		if Within(path, p) {
			d.Reason = "it holds the policy " + p + " itself; grant a narrower folder"
			return d, true
		}
	}
	for _, p := range a.owner.Own {
		if Within(path, p) && access >= nacre.Write {
			d.Reason = "it holds Nacre's own " + p + ", which no agent may change; grant a narrower folder"
			return d, true
		}
	}
	pattern, blocked := a.blocked.Match(path)
	if blocked {
		d.Rule, d.Reason, d.Origin = "blocked."+pattern, "the name is blocked wherever it is", a.origins[pattern]
	}
	return d, blocked
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

// Named decides about one entry of whatever is a list. Where it allows, the
// amounts of what it returns are the least of what was asked and allowed, and the
// conditions are everybody's.
func (a *Authority) Named(asked manifest.Named) (nacre.Decision, manifest.Named) {
	granted := asked
	d := nacre.Decision{Capability: asked.Capability, Subject: asked.Name}
	if scheme := asked.Lists["scheme"]; scheme != nil {
		d.Subject = fmt.Sprint(scheme[0], "://", asked.Name, " ", asked.Lists["ports"])
	}
	return a.judge(d, func(r *Rules) rule {
		for _, at := range append([]manifest.Named{asked}, asked.Place()...) { // who is denied is so by every way
			if _, deny := first(r.Deny, at, manifest.Named.Touches); deny.n > 0 {
				return deny
			}
		}
		return rule{}
	}, func(r *Rules) rule {
		allowed, allow := first(*r, asked, manifest.Named.Covers)
		granted = granted.Bound(allowed)
		return allow
	}), granted
}

// first is the first entry, in the list of rules for what is asked, of which
// something is true.
func first(rules any, asked manifest.Named, is func(entry, asked manifest.Named) bool) (manifest.Named, rule) {
	key := asked.Capability
	if key == nacre.CapImage {
		key = "images"
	}
	for i, entry := range manifest.Entries(rules, key) {
		if is(entry, asked) {
			return entry, rule{i + 1, entry.Origin, entry.Reason}
		}
	}
	return manifest.Named{}, rule{}
}

// Limit decides about an amount of one limit, by its place in manifest.Limits,
// and says what the most is.
func (a *Authority) Limit(place int, amount int64) (nacre.Decision, int64) {
	d, most := nacre.Decision{Capability: nacre.CapLimits}, int64(0)
	for _, l := range a.layers {
		limit := l.rules.Limits.Each()[place]
		stated := cmp.Or(*limit.Amount, manifest.Amount{N: limit.Default, Origin: nacre.Origin{File: nacre.OriginBuiltIn}})
		if most == 0 || stated.N < most {
			most, d.Subject, d.Origin = stated.N, limit.Name+" "+limit.Format(amount), stated.Origin
			d.Rule, d.Reason = l.name+".limits."+limit.Name, "the most is "+limit.Format(most)
		}
	}
	if amount <= most && most > 0 {
		d.Effect = nacre.Allow
	}
	return d, most
}
