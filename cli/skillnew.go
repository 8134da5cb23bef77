package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/skill"
	"nacre/skill/begin"
)

func newSkillNew(app *App) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "new [flags] NAME", Short: "Begin a skill: write its folder",
		Long: `Begin a skill: write a folder with its SKILL.md, a capabilities.yaml that asks for
nothing yet, and what makes its kind. It can be added and tried as it is.`,
		Example: "  nacre skill new greet\n  nacre skill new --kind tool greeter",
		Args:    takes(1, 1, "one NAME"),
		RunE:    func(_ *cobra.Command, args []string) error { return app.newSkill(args[0], kind) },
	}
	cmd.Flags().StringVar(&kind, "kind", string(skill.Knowledge), "what it is to be: a `KIND`, "+strings.Join(begin.Kinds(), ", "))
	// It fails only for a flag that there is not.
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(begin.Kinds(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (app *App) newSkill(name, kind string) error {
	if err := skill.CheckName(name); err != nil {
		return fault.New(fault.Usage, "%v", err)
	}
	files, err := begin.Files(kind, name)
	if err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o755); errors.Is(err, os.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already", name).WithHint("give another name; or move that away")
	} else if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write %s", name)
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(name, f.Name), f.Text, 0o644); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(app.Out, "%s: written; next: edit %s, then nacre skill add ./%s\n", name, filepath.Join(name, skill.Main), name)
	return err
}
