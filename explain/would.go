package explain

import (
	"nacre"
	"nacre/compile"
	"nacre/grant"
	"nacre/manifest"
	"nacre/policy"
)

// Would answers whether the policy would allow something if it were declared,
// by the check that Compile itself makes; the remedy is the policy's line.
func Would(in compile.Input, q Query) (nacre.Decision, error) {
	auth, err := compile.Authority(in)
	if err != nil {
		return nacre.Decision{}, err
	}
	switch q.Capability {
	case nacre.CapFiles:
		place, err := policy.Resolve(q.Subject, in.Owner.Cwd, in.Owner.Home, nacre.Origin{})
		return auth.Files(place, max(q.Access, nacre.Read)), err
	case nacre.CapNetwork:
		asked, err := request(q.Subject)
		return auth.Network(asked), err
	case nacre.CapLimits:
		var asked manifest.Limits
		if err := grant.ParseLimit(&asked, q.Subject+"="+q.Value); err != nil {
			return nacre.Decision{}, err
		}
		for _, limit := range asked.Each() {
			if limit.N > 0 {
				d, _ := auth.Limit(limit.Name, limit.N)
				return d, nil
			}
		}
	}
	asked := manifest.Named{Capability: q.Capability, Name: q.Subject}
	if list := narrowing[q.Capability]; list != "" && q.Value != "" {
		asked.Lists = map[string][]string{list: {q.Value}}
	}
	d, _ := auth.Named(asked)
	return d, nil
}
