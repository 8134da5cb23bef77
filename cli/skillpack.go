package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/skill"
	"nacre/skill/part"
	"nacre/skill/store"
)

func newSkillPack(app *App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "pack [flags] FOLDER", Short: "Check a skill's folder and pack it as a tar.gz",
		Long: `Check a skill's folder and pack it. Of the same folder the archive has always
the same bytes. The digest that is printed is what nacre.lock pins. Where the skill
has a capabilities.yaml, its digest is written into SKILL.md first, unless the
skill is signed.`,
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
	if err := app.stamp(dir, files); err != nil {
		return fault.Wrap(fault.KindOf(err), err, "%s", folder)
	}
	s, err := skill.Read(files)
	if err == nil {
		err = s.Called(filepath.Base(dir))
	}
	if err == nil {
		_, err = part.Read(s, files)
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

// stamp has a skill's SKILL.md say which capabilities.yaml goes with it. What is
// signed is as it was signed.
func (app *App) stamp(dir string, files fs.FS) error {
	capabilities, err := fs.ReadFile(files, skill.CapabilitiesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, signed := fs.Stat(files, skill.SignatureFile); err == nil && signed == nil {
		return nil
	}
	main, missing := fs.ReadFile(files, skill.Main)
	if err := errors.Join(err, missing); err != nil {
		return fault.Wrap(fault.Invalid, err, "it cannot be read")
	}
	stamped, err := skill.Stamp(main, capabilities)
	if err != nil || string(stamped) == string(main) {
		return err
	}
	file := filepath.Join(dir, skill.Main)
	if err := writeNew(file+".new", stamped, 0o644); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write %s", file)
	}
	app.note("%s: the digest of %s is written into it", file, skill.CapabilitiesFile)
	return nil
}
