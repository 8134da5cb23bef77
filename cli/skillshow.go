package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"nacre/skill"
	"nacre/skill/check"
	"nacre/skill/lock"
	"nacre/skill/part"
	"nacre/terminal"
)

// shownSkill is a skill, as JSON.
type shownSkill struct {
	Name         string          `json:"name"`
	Kind         skill.Kind      `json:"kind"`
	Description  string          `json:"description"`
	Source       string          `json:"source"`
	Path         string          `json:"path,omitempty"`
	Revision     string          `json:"revision,omitempty"`
	Digest       string          `json:"digest"`
	Capabilities string          `json:"capabilities,omitempty"`
	Runs         []string        `json:"runs"` // by what, a line for each thing that makes its kind
	Asks         []string        `json:"asks"`
	Files        []string        `json:"files"`
	Findings     []check.Finding `json:"findings"`
	Accepted     []string        `json:"accepted"`
}

func newSkillShow(app *App) *cobra.Command {
	var asJSON, body bool
	cmd := &cobra.Command{
		Use: "show [flags] NAME", Short: "Show a skill: what it asks for, its files, what was found in it",
		Example: "  nacre skill show greet\n  nacre skill show greet --body", Args: takes(1, 1, "one NAME"), ValidArgsFunction: app.skillNames,
		RunE: func(_ *cobra.Command, args []string) error { return app.showSkill(args[0], asJSON, body) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&body, "body", false, "print its instructions too")
	return cmd
}

func (app *App) showSkill(name string, asJSON, body bool) error {
	_, shelf, _, err := app.skills()
	if err != nil {
		return err
	}
	s, e, err := shelf.Skill(name)
	if err != nil {
		return err
	}
	_, says, err := verified(shelf, e)
	if err != nil {
		return err
	}
	files, err := skill.Beneath(shelf.Folder(e))
	if err != nil {
		return err
	}
	defer files.Close()
	findings, err := check.Look(s, files, nil, builtInSkills())
	if err != nil {
		return err
	}
	if asJSON {
		return app.skillJSON(s, e, says, findings)
	}
	if err := app.printSkill(s, e, says); err != nil {
		return err
	}
	for _, f := range s.Files {
		kind := map[bool]string{true: "program", false: "file"}[f.Executable]
		if _, err := fmt.Fprintf(app.Out, "%s\t%s\t%d\n", kind, terminal.Clean(f.Path), f.Size); err != nil {
			return err
		}
	}
	app.printFindings(findings)
	if body {
		w, done := terminal.Guarded(app.Out)
		_, err = fmt.Fprintf(w, "\n%s", s.Body)
		done()
	}
	return err
}

func (app *App) skillJSON(s *skill.Skill, e lock.Entry, says []part.Line, findings []check.Finding) error {
	asked, err := asks(s)
	if err != nil {
		return err
	}
	shown := shownSkill{s.Name, s.Kind, s.Description, e.Source, e.Path, e.Revision, s.Digest, s.CapabilitiesDigest,
		[]string{}, append([]string{}, asked...), []string{}, append([]check.Finding{}, findings...), append([]string{}, e.Accepted...)}
	for _, l := range says {
		shown.Runs = append(shown.Runs, l.String())
	}
	for _, f := range s.Files {
		shown.Files = append(shown.Files, f.Path)
	}
	return app.printJSON(shown)
}
