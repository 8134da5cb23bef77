package cli

import (
	"slices"

	"nacre/fault"
	"nacre/grant"
	"nacre/skill"
)

// ownSkills finds the skills that are to be read, each of them read again and
// compared with nacre.lock. What the owner names on the command line is granted
// by that; what a manifest names, as far as the policy says so.
func (in *input) ownSkills(app *App, o owner, c *grant.Input) error {
	c.Skill = append(c.Skill, in.skills...)
	names := slices.Clone(c.Skill)
	if c.Manifest != nil {
		for _, t := range c.Manifest.Skills {
			names = append(names, t.Value)
		}
	}
	if len(names) == 0 {
		return nil
	}
	owned, err := app.shelf(o)
	if err != nil {
		return err
	}
	c.Skills = map[string]string{}
	for _, name := range names {
		s, e, err := usable(owned, name, c.Policy, c.Ceiling)
		if err != nil {
			return err
		}
		if s.Kind != skill.Knowledge && name != in.tool {
			return fault.New(fault.Invalid, "the skill %s is a %s: an agent does not read it", name, s.Kind)
		}
		c.Skills[name] = owned.Folder(e)
	}
	return nil
}
