package cli

import (
	"slices"
	"strings"

	"nacre/fault"
	"nacre/grant"
	"nacre/harness"
	"nacre/skill"
	"nacre/skills"
)

// locked makes of the name of a harness that is in nacre.lock the folder that it
// is kept in, as it was locked; the policy's rules for that entry hold for it.
// Names of Nacre's own harnesses stay theirs.
func (in *input) locked(app *App, o owner, c *grant.Input) error {
	w := &in.with
	if strings.Contains(w.skill, "/") || slices.Contains(harness.BuiltIn(skills.Files), w.skill) {
		return nil
	}
	owned, err := app.shelf(o)
	if err != nil {
		return err
	}
	l, err := owned.Lock()
	if err != nil || l.Find(w.skill) == nil {
		return err
	}
	if err := in.policies(app, o, c); err != nil { // which say who must have signed it
		return err
	}
	s, e, err := usable(owned, w.skill, c.Policy, c.Ceiling)
	if err != nil {
		return err
	}
	if s.Kind != skill.Harness {
		return fault.New(fault.Invalid, "the skill %s is %s: it runs no agent", e.Name, s.Kind)
	}
	w.skill, c.Lock = owned.Folder(e), e.Name
	return nil
}
