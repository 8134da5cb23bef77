package explain

import (
	"cmp"

	"nacre"
	"nacre/compile"
	"nacre/grant"
	"nacre/manifest"
	"nacre/policy"
	"nacre/remedy"
	"nacre/tools"
)

// Would answers whether the policy would allow something if it were declared,
// by the check that Compile itself makes; the remedy is the policy's line.
func Would(in compile.Input, q Query) (nacre.Decision, error) {
	var d nacre.Decision
	denied, err := remedy.Try(in, func(in compile.Input) (denied []nacre.Decision, asked []any, err error) {
		auth, err := compile.Authority(in)
		if err != nil {
			return nil, nil, err
		}
		now, entry, err := would(auth, in.Owner, q)
		d = cmp.Or(d, now)
		if now.Effect == nacre.Deny && err == nil {
			denied, asked = []nacre.Decision{now}, []any{entry}
		}
		return denied, asked, err
	})
	if len(denied) > 0 {
		d = denied[0]
	}
	return d, err
}

// would also returns the entry that would have to be in the policy.
func would(auth *policy.Authority, owner compile.Owner, q Query) (d nacre.Decision, asked any, err error) {
	switch q.Capability {
	case nacre.CapFiles:
		root := policy.Root{Access: max(q.Access, nacre.Read)}
		root.Path, err = policy.Resolve(q.Subject, owner.Cwd, owner.Home, nacre.Origin{})
		return auth.Files(root.Path, root.Access), root, err
	case nacre.CapNetwork:
		asked, err := request(q.Subject)
		if err == nil {
			d, _ = auth.Named(manifest.Entry(nacre.CapNetwork, asked))
		}
		return d, asked, err
	case nacre.CapLimits:
		var limits manifest.Limits
		if err := grant.ParseLimit(&limits, q.Subject+"="+q.Value); err != nil {
			return d, nil, err
		}
		for i, limit := range limits.Each() {
			if limit.N > 0 {
				d, _ = auth.Limit(i, limit.N)
			}
		}
		return d, nil, nil
	}
	if call, ok := tools.Ask(q.Subject); ok && q.Capability == nacre.CapTools {
		q.Subject, q.Value = call.Server, call.Tool
	}
	named := manifest.Named{Capability: q.Capability, Name: q.Subject}
	if list := narrowing[q.Capability]; list != "" && q.Value != "" {
		named.Lists = map[string][]string{list: {q.Value}}
	}
	d, _ = auth.Named(named)
	return d, nil, nil
}
