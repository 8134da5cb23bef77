package launch

import (
	"slices"

	"nacre"
	"nacre/egress"
	"nacre/fault"
)

// Changeable is a running gateway whose grants can become others.
type Changeable interface {
	// Change leaves of the grants that it was started with those with these ids, and
	// grants more destinations.
	Change(ids []string, more []nacre.NetworkGrant) error
	// Answer answers what it has asked.
	Answer(id uint64, allow bool) error
}

// Addable refuses to give a running sandbox a destination that needs more than the
// gateway's leave: a secret that it was not started with for that very place, or
// something that programs inside were told at the start. whole is what its plan would
// be if it were started now.
func Addable(begun, whole nacre.Plan, n nacre.NetworkGrant) error {
	there := slices.ContainsFunc(begun.Network, func(b nacre.NetworkGrant) bool {
		return b.Host == n.Host && b.As == n.As && b.Scheme == n.Scheme && b.TLS == n.TLS
	})
	for _, s := range slices.Concat(whole.Secrets, begun.Secrets) {
		had := slices.ContainsFunc(begun.Secrets, func(old nacre.NamedGrant) bool { return old.Name == s.Name })
		if !(had && there) && slices.ContainsFunc(placesOf(s), func(at egress.Place) bool { return reaches(n, at) }) {
			return fault.New(fault.Unsupported, "the secret %s goes with it", s.Name)
		}
	}
	switch {
	case n.Scheme == "ssh" && !there:
		return fault.New(fault.Unsupported, "the gateway has to know the host's key")
	case unread(n) && !slices.ContainsFunc(begun.Network, unread):
		return fault.New(fault.Unsupported, "programs inside have to know whom to trust there")
	}
	return sensible(n)
}
