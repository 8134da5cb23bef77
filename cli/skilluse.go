package cli

import (
	"slices"
	"strings"

	"nacre/fault"
	"nacre/grant"
	"nacre/policy"
	"nacre/skill"
)

// signedFolder refuses a tool server that is no skill of nacre.lock, but a folder,
// where a policy wants signatures: it may change after any look at it.
func (in *input) signedFolder(c *grant.Input) error {
	if !strings.Contains(in.tool, "/") {
		return nil
	}
	for _, p := range []*policy.Policy{c.Policy, c.Ceiling} {
		if p != nil && len(p.Signers) > 0 {
			return fault.New(fault.Denied, "the policy wants skills that are signed (skill-signers), and a folder can change while it is used").
				WithHint("nacre skill add %s, then --tool with its name", in.tool)
		}
	}
	return nil
}

// ownSkills finds the skills that are to be read, each of them read again and
// compared with nacre.lock. What the owner names on the command line is granted
// by that; what a manifest names, as far as the policy says so.
func (in *input) ownSkills(app *App, o owner, c *grant.Input) error {
	if err := in.signedFolder(c); err != nil {
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
