package policy

import (
	"fmt"
	"maps"

	"nacre"
	"nacre/manifest"
)

// Files decides about a folder or file of the host: an absolute, clean path.
func (a *Authority) Files(path string, access nacre.Access) nacre.Decision {
	d := nacre.Decision{Capability: nacre.CapFiles, Subject: path + " " + access.String()}
	if refused, ok := a.Refused(d, path, access); ok {
		return refused
	}
	return a.judge(d, func(*Rules) rule { return rule{} }, func(r *Rules) rule { return r.Files.best(path, access) })
}

// Refused completes d where the place is reserved or its name blocked,
// whatever the roots say.
func (a *Authority) Refused(d nacre.Decision, path string, access nacre.Access) (nacre.Decision, bool) {
	why, rule, origin := a.never(path, access), "reserved", nacre.Origin{File: nacre.OriginBuiltIn}
	if why == "" {
		pattern, blocked := a.blocked.Match(path)
		if !blocked {
			return d, false
		}
		why, rule, origin = "the name is blocked wherever it is", "blocked."+pattern, a.origins[pattern]
	}
	d.Effect, d.Rule, d.Reason, d.Origin = nacre.Deny, rule, why, origin
	return d, true
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
	if place, ok := At(reserved, path); ok {
		return place + " can never be granted"
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

// Named decides about one entry of whatever is a list. Where it allows, the
// amounts of what it returns are the least of what was asked and allowed.
func (a *Authority) Named(asked manifest.Named) (nacre.Decision, manifest.Named) {
	granted := asked
	granted.Amounts = map[string]int64{}
	maps.Copy(granted.Amounts, asked.Amounts)
	key := asked.Capability
	if key == nacre.CapImage {
		key = "images"
	}
	d := nacre.Decision{Capability: asked.Capability, Subject: asked.Name}
	if scheme := asked.Lists["scheme"]; scheme != nil {
		d.Subject = fmt.Sprint(scheme[0], "://", asked.Name, " ", asked.Lists["ports"])
	}
	return a.judge(d, func(r *Rules) rule {
		for i, deny := range manifest.Entries(r.Deny, key) {
			if deny.Touches(asked) {
				return rule{n: i + 1, origin: deny.Origin}
			}
		}
		return rule{}
	}, func(r *Rules) rule {
		for i, allowed := range manifest.Entries(*r, key) {
			if !allowed.Covers(asked) {
				continue
			}
			for name, most := range allowed.Amounts {
				if most > 0 && (granted.Amounts[name] == 0 || most < granted.Amounts[name]) {
					granted.Amounts[name] = most
				}
			}
			return rule{i + 1, allowed.Origin, allowed.Reason}
		}
		return rule{}
	}), granted
}

// Limit decides about an amount of one limit, and says what the most is.
func (a *Authority) Limit(name string, amount int64) (nacre.Decision, int64) {
	d := nacre.Decision{Capability: nacre.CapLimits, Subject: name, Rule: "default", Reason: "there is no such limit"}
	most := int64(0)
	for _, l := range a.layers {
		for _, limit := range l.rules.Limits.Each() {
			if limit.Name != name {
				continue
			}
			if limit.N == 0 {
				limit.Amount = &manifest.Amount{N: limit.Default, Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
			}
			if most == 0 || limit.N < most {
				most, d.Subject, d.Origin = limit.N, name+" "+limit.Format(amount), limit.Origin
				d.Rule, d.Reason = l.name+".limits."+name, "the most is "+limit.Format(most)
			}
		}
	}
	if amount <= most && most > 0 {
		d.Effect = nacre.Allow
	}
	return d, most
}
