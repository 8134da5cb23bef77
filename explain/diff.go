package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/manifest"
	"nacre/policy"
)

// Change is one thing that a new plan permits and an old one does not, or the
// other way round.
type Change struct {
	Added      bool             `json:"added"` // more authority
	Capability nacre.Capability `json:"capability"`
	Summary    string           `json:"summary"`
}

func (c Change) String() string {
	return map[bool]string{true: "+ ", false: "− "}[c.Added] + string(c.Capability) + " " + c.Summary
}

// Diff says what a change of plan adds and removes in authority, sorted.
func Diff(old, new nacre.Plan) []Change {
	before, after := powers(old), powers(new)
	var changes []Change
	compare := func(from, to map[Change]bool, added bool) {
		for c := range to {
			if !from[c] {
				c.Added = added
				changes = append(changes, c)
			}
		}
	}
	compare(before, after, true)
	compare(after, before, false)
	changes = append(changes, files(old, new)...)
	masked := func(p, other nacre.Plan, added bool) {
		for _, pattern := range p.Blocked {
			if !slices.Contains(other.Blocked, pattern) && reaches(other, pattern) {
				changes = append(changes, Change{added, nacre.CapFiles, "see what is named " + pattern})
			}
		}
	}
	masked(old, new, true)
	masked(new, old, false)
	changes = append(changes, limits(old, new)...)
	slices.SortFunc(changes, func(a, b Change) int {
		return strings.Compare(fmt.Sprint(a.Capability, !a.Added, a.Summary), fmt.Sprint(b.Capability, !b.Added, b.Summary))
	})
	return changes
}

// reaches tells whether what a pattern names may lie in a folder that a plan grants.
func reaches(p nacre.Plan, pattern string) bool {
	if !strings.HasPrefix(pattern, "/") {
		return true
	}
	plain := pattern
	if i := strings.IndexAny(pattern, `*?[\`); i >= 0 {
		plain = pattern[:i]
	}
	at := strings.LastIndexByte(plain, '/')
	folder, rest := cmp.Or(pattern[:at], "/"), pattern[at+1:]
	return slices.ContainsFunc(p.Files, func(g nacre.FileGrant) bool {
		return policy.Within(g.Host, folder) || policy.Within(folder, g.Host) && strings.Contains(rest, "/")
	})
}

// powers is the set of what a plan permits, but for masks and limits.
func powers(p nacre.Plan) map[Change]bool {
	set := map[Change]bool{}
	add := func(c nacre.Capability, summary string) { set[Change{Capability: c, Summary: summary}] = true }
	for _, g := range p.Files {
		if g.Capability == nacre.CapSkills {
			add(nacre.CapFiles, g.Summary)
		}
	}
	for _, g := range p.Network {
		add(nacre.CapNetwork, g.Summary)
	}
	for _, g := range p.Syscalls {
		add(nacre.CapSyscalls, g.Name)
	}
	for _, v := range p.Environment {
		add(nacre.CapEnvironment, v.Name+"="+v.Value)
	}
	for _, t := range p.Accepted {
		add("accept", string(t))
	}
	if p.Loopback {
		add(nacre.CapNetwork, "the sandbox's own loopback")
	}
	add(nacre.CapImage, p.Image.Summary)
	named := compile.Named(&p)
	for _, c := range slices.Sorted(maps.Keys(named)) {
		for _, g := range *named[c] {
			add(c, g.Summary)
		}
	}
	return set
}

// files compares what may be done with each place of the host: where access is less, or
// the folder a narrower one, nothing is new. Where it appears inside is no authority.
func files(old, new nacre.Plan) (changes []Change) {
	compare := func(from, to nacre.Plan, added bool) {
		for _, g := range to.Files {
			if g.Capability == nacre.CapSkills {
				continue // told by name: its folder is another with each version
			}
			had := nacre.NoAccess
			for _, f := range from.Files {
				if policy.Within(f.Host, g.Host) {
					had = max(had, f.Access)
				}
			}
			if c := (Change{added, nacre.CapFiles, g.Summary}); g.Access > had && !slices.Contains(changes, c) {
				changes = append(changes, c)
			}
		}
	}
	compare(old, new, true)
	compare(new, old, false)
	return changes
}

func limits(old, new nacre.Plan) []Change {
	var changes []Change
	after := amounts(new.Limits).Each()
	for i, was := range amounts(old.Limits).Each() {
		if is := after[i]; is.N != was.N {
			changes = append(changes, Change{is.N > was.N, nacre.CapLimits, fmt.Sprintf("%s %s (was %s)", is.Name, is.Format(is.N), was.Format(was.N))})
		}
	}
	return changes
}

// amounts are a plan's limits as they are asked for.
func amounts(p nacre.Limits) *manifest.Limits {
	amount := func(n int64) manifest.Amount { return manifest.Amount{N: n} }
	return &manifest.Limits{Memory: amount(p.Memory), CPUs: amount(int64(p.CPUs*1000 + 0.5)), Processes: amount(p.Processes),
		OpenFiles: amount(p.OpenFiles), Disk: amount(p.Disk), Output: amount(p.Output), Time: amount(int64(p.Time))}
}
