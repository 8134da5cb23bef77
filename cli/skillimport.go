package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/policy"
	"nacre/skill"
	"nacre/skill/foreign"
	"nacre/skill/store"
)

func newSkillImport(app *App) *cobra.Command {
	o := &skillAddOptions{app: app}
	cmd := &cobra.Command{
		Use:   "import [flags] FOLDER",
		Short: "Take over skills of other assistants, as knowledge",
		Long: `Take over the skills below a folder of another assistant (Claude Code, Codex,
Gemini, OpenClaw, NanoClaw and others keep them as folders with a SKILL.md) and pin
them. Their texts and files come as they are; keys that the open format does not
have, allowed-tools, hooks, plug-ins and settings are left out, programs are
files, and each such thing is said.`,
		Example: `  nacre skill import ~/.claude/skills
  nacre skill import ~/.codex
  nacre skill import ~/.openclaw/skills/weather`,
		Args: takes(1, 1, "one FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.importAll(cmd.Context(), args[0]) },
	}
	cmd.Flags().BoolVar(&o.accept, "accept-findings", false, "take them in spite of what was found in them")
	return cmd
}

// importAll takes over every skill that is found; what one of them lacks does
// not keep the others back.
func (o *skillAddOptions) importAll(ctx context.Context, written string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	folder, err := policy.Resolve(written, who.cwd, who.home, commandLine)
	if err != nil {
		return flagFault("FOLDER", err)
	}
	files, err := skill.Beneath(folder)
	if err != nil {
		return err
	}
	found, err := foreign.Find(files)
	files.Close()
	switch {
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "%s", folder)
	case len(found) == 0:
		return fault.New(fault.NotFound, "%s holds no skill: no folder with a %s", folder, skill.Main).
			WithHint("name the folder in which the other assistant has its skills, such as ~/.claude/skills")
	}
	var errs []error
	for _, at := range found {
		errs = append(errs, o.add(ctx, source{kind: "import", place: filepath.Join(folder, at)}))
	}
	return errors.Join(errs...)
}

// importFolder brings in one skill of another assistant.
func importFolder(folder string, st *store.Staged) error {
	files, err := skill.Beneath(folder)
	if err != nil {
		return err
	}
	defer files.Close()
	f, err := files.Open(skill.Main)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be read", skill.Main)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fault.Wrap(fault.Invalid, err, "%s: expected a file", skill.Main)
	}
	text, err := io.ReadAll(io.LimitReader(f, skill.MaxMain+1))
	if err != nil || len(text) > skill.MaxMain {
		return fault.Wrap(fault.Invalid, err, "%s: cannot be read, or is larger than %d KiB", skill.Main, skill.MaxMain>>10)
	}
	name, main, notes, err := foreign.Convert(text, filepath.Base(folder))
	if err != nil {
		return err
	}
	for _, n := range notes {
		st.Notes = append(st.Notes, fmt.Sprintf("%s: %s", name, n))
	}
	if err := st.CopyPart(files, foreign.Leave); err != nil {
		return err
	}
	return st.File(skill.Main, false, bytes.NewReader(main))
}
