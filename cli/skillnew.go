package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/skill"
	"nacre/skill/store"
)

const newSkillText = `---
name: %s
description: What it does, and when to use it. An agent decides by this line.
---
# %s

Write here what an agent is to know or do. Put what is long into files beside
this one (references/, scripts/, assets/), and name them here.
`

const newCapabilities = `# What the skill asks for, in the grammar of a manifest. Without this file it
# asks for nothing; in any case an owner's policy decides.
version: 1
name: %s
# network:
#   - host: api.example.com
`

func newSkillNew(app *App) *cobra.Command {
	return &cobra.Command{
		Use: "new NAME", Short: "Begin a skill: write its folder", Example: "  nacre skill new greet",
		Args: takes(1, 1, "one NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if err := skill.CheckName(name); err != nil {
				return fault.New(fault.Usage, "%v", err)
			}
			err := os.Mkdir(name, 0o755)
			if errors.Is(err, os.ErrExist) {
				return fault.New(fault.Conflict, "%s exists already", name)
			}
			if err == nil {
				err = errors.Join(
					os.WriteFile(filepath.Join(name, skill.Main), fmt.Appendf(nil, newSkillText, name, name), 0o644),
					os.WriteFile(filepath.Join(name, skill.CapabilitiesFile), fmt.Appendf(nil, newCapabilities, name), 0o644))
			}
			if err != nil {
				return fault.Wrap(fault.Exhausted, err, "cannot write %s", name)
			}
			_, err = fmt.Fprintf(app.Out, "%s: written; next: edit %s, then nacre skill add ./%s\n", name, filepath.Join(name, skill.Main), name)
			return err
		},
	}
}

func newSkillPack(app *App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "pack [flags] FOLDER", Short: "Check a skill's folder and pack it as a tar.gz",
		Long: `Check a skill's folder and pack it. Of the same folder the archive has always
the same bytes. The digest that is printed is what nacre.lock pins.`,
		Example: "  nacre skill pack ./greet\n  nacre skill pack ./greet --output dist/greet.tar.gz",
		Args:    takes(1, 1, "one FOLDER"),
		RunE: func(_ *cobra.Command, args []string) error {
			return app.packSkill(args[0], output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the `FILE` to write; default: NAME.tar.gz")
	return cmd
}

func (app *App) packSkill(folder, output string) (err error) {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "%s", folder)
	}
	files, err := skill.Beneath(dir)
	if err != nil {
		return err
	}
	defer files.Close()
	s, err := skill.Read(files)
	if err == nil {
		err = s.Called(filepath.Base(dir))
	}
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "%s", folder)
	}
	if output == "" {
		output = s.Name + ".tar.gz"
	}
	f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already", output).WithHint("name another file with --output")
	}
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write the archive")
	}
	if err := errors.Join(store.Pack(f, s, files), f.Close()); err != nil {
		_ = os.Remove(output)
		return err
	}
	_, err = fmt.Fprintf(app.Out, "%s %s\n", output, s.Digest)
	return err
}
