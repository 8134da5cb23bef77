package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/audit"
	"nacre/fault"
	"nacre/skill"
	"nacre/skill/lock"
	"nacre/skill/shelf"
)

// commandLine is where the owner's own words come from.
var commandLine = nacre.Origin{File: nacre.OriginCommandLine}

func newSkill(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "skill",
		Short: "Keep skills: folders with instructions, tools or agents, each pinned",
		Long: `Keep skills in the open Agent Skills format. Each is copied, looked at and
pinned by the digest of its whole folder in nacre.lock, beside your policy; one
that has changed since then is refused wherever it is used. A skill grants
nothing: what it asks for counts as far as your policy allows it.`,
		Example: "  nacre skill add ./greet\n  nacre skill list",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknown(cmd, args) },
	}
	cmd.AddCommand(newSkillAdd(app), newSkillList(app), newSkillShow(app), newSkillRemove(app), newSkillVerify(app),
		newSkillPack(app), newSkillNew(app), newSkillSign(app), newSkillUpdate(app), newSkillImport(app))
	return cmd
}

// shelf is the owner's skills.
func (app *App) shelf(o owner) (*shelf.Shelf, error) { return shelf.Open(o.config, o.state, o.uid) }

// skillNames completes the names of skills.
func (app *App) skillNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	who, err := app.owner()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	s, err := app.shelf(who)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	l, err := s.Lock()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, e := range l.Skills {
		names = append(names, e.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// recordSkill puts into the audit what the owner does with a skill, before it
// is done.
func (app *App) recordSkill(ctx context.Context, o owner, what string, e lock.Entry) error {
	log, err := audit.Open(o.auditDir(), o.uid)
	if err != nil {
		return err
	}
	defer log.Close()
	detail := map[string]string{"digest": e.Digest, "source": e.Source, "kind": string(e.Kind)}
	for key, value := range map[string]string{"path": e.Path, "revision": e.Revision, "capabilities": e.Capabilities, "accepted": strings.Join(e.Accepted, " ")} {
		if value != "" {
			detail[key] = value
		}
	}
	return log.Record(ctx, nacre.Event{Kind: "skill." + what, Subject: "lock:" + e.Name, Caller: nacre.Caller{UID: o.uid, PID: os.Getpid(), Name: "cli"},
		Decision: nacre.Allow, Rule: "owner", Reason: "the owner's command", Detail: detail})
}

func newSkillList(app *App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List skills, and whether each is what was locked",
		Example: "  nacre skill list\n  nacre skill list --json",
		Args:    takes(0, 0, "no arguments"),
		RunE:    func(*cobra.Command, []string) error { return app.listSkills(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// skillLine is one skill, as it is listed.
type skillLine struct {
	Name   string     `json:"name"`
	Kind   skill.Kind `json:"kind"`
	State  string     `json:"state"` // ok, or what is wrong
	Digest string     `json:"digest"`
	Source string     `json:"source"`
}

func (app *App) listSkills(asJSON bool) error {
	_, s, l, err := app.skills()
	if err != nil {
		return err
	}
	lines := []skillLine{}
	for _, e := range l.Skills {
		state := "ok"
		if _, _, err := verified(s, e); err != nil {
			state = string(fault.KindOf(err))
		}
		lines = append(lines, skillLine{e.Name, e.Kind, state, e.Digest, e.Source})
	}
	if asJSON {
		return app.printJSON(lines)
	}
	t := table{heading: []string{"NAME", "KIND", "STATE", "DIGEST", "SOURCE"}}
	for _, l := range lines {
		t.add(l.Name, l.Kind, l.State, l.Digest[:len("sha256:")+12], l.Source)
	}
	return t.print(app)
}

// skills are the owner, what the owner has, and its lock.
func (app *App) skills() (who owner, s *shelf.Shelf, l *lock.File, err error) {
	if who, err = app.owner(); err != nil {
		return who, nil, nil, err
	}
	if s, err = app.shelf(who); err != nil {
		return who, nil, nil, err
	}
	l, err = s.Lock()
	return who, s, l, err
}

func newSkillRemove(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME...", Short: "Remove skills", Example: "  nacre skill rm greet",
		Args: takes(1, -1, "at least one NAME"), ValidArgsFunction: app.skillNames,
		RunE: func(cmd *cobra.Command, names []string) error {
			who, s, _, err := app.skills()
			if err != nil {
				return err
			}
			return s.Edit(func(l *lock.File) error {
				for _, name := range names {
					e, err := l.Need(name)
					if err != nil {
						return err
					}
					if err := app.recordSkill(cmd.Context(), who, "remove", *e); err != nil {
						return err
					}
					l.Remove(name)
				}
				return nil
			})
		},
	}
}

func newSkillVerify(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "verify [NAME]...", Short: "Read skills again and compare them with nacre.lock",
		Long: `Read skills, all or those named, and compare each with its entry in nacre.lock.
The exit code is 1 if one of them is not what was locked.`,
		Example: "  nacre skill verify\n  nacre skill verify greet", Args: takes(0, -1, "names"), ValidArgsFunction: app.skillNames,
		RunE: func(_ *cobra.Command, names []string) error {
			_, s, l, err := app.skills()
			if err != nil {
				return err
			}
			for _, name := range names {
				if _, err := l.Need(name); err != nil {
					return err
				}
			}
			return app.verifySkills(s, l, names)
		},
	}
}

func (app *App) verifySkills(s *shelf.Shelf, l *lock.File, names []string) error {
	good := true
	for _, e := range l.Skills {
		if len(names) > 0 && !slices.Contains(names, e.Name) {
			continue
		}
		said := "ok " + e.Digest
		if _, _, err := verified(s, e); err != nil {
			good, said = false, err.Error()
		}
		if _, err := fmt.Fprintf(app.Out, "%s: %s\n", e.Name, oneLine(said)); err != nil {
			return err
		}
	}
	return statusOf(good)
}
