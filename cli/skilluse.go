package cli

import (
	"slices"

	"nacre/fault"
	"nacre/grant"
	"nacre/skill"
)

// signedFolder holds a tool server that is no skill of nacre.lock, but a folder, to
// the policies' keys.
func (in *input) signedFolder(app *App, o owner, c *grant.Input) error {
	if in.tool == "" {
		return nil
	}
	folder, locked, err := app.skillFolder(o, in.tool)
	if err != nil || locked != "" { // which is looked at below
		return err
	}
	s, err := skill.Open(folder)
	if err != nil {
		return err
	}
	return signers(s, s.Signature, c.Policy, c.Ceiling)
}

// ownSkills finds the skills that are to be read, each of them read again and
// compared with nacre.lock. What the owner names on the command line is granted
// by that; what a manifest names, as far as the policy says so.
func (in *input) ownSkills(app *App, o owner, c *grant.Input) error {
	if err := in.signedFolder(app, o, c); err != nil {
		return err
	}
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
