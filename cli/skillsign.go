package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/load"
	"nacre/policy"
	"nacre/skill"
	"nacre/skill/lock"
	"nacre/skill/shelf"
	"nacre/skill/sign"
)

type skillSignOptions struct {
	app    *App
	key    string
	newKey string
	print  bool
}

func newSkillSign(app *App) *cobra.Command {
	o := &skillSignOptions{app: app}
	cmd := &cobra.Command{
		Use:   "sign [flags] FOLDER",
		Short: "Sign a skill's folder with a key of minisign",
		Long: `Sign a skill's folder: its name and digest, by an Ed25519 key in minisign's
format. The signature is written into the folder as SKILL.minisig, and goes
where the folder goes. A policy can require that skills are signed, by the keys
that it lists under skill-signers.

A key with a passphrase is used with minisign itself, on what --print prints.`,
		Example: `  nacre skill sign --new-key skills.key
  nacre skill sign --key skills.key ./greet
  nacre skill sign --print ./greet > message`,
		Args: takes(0, 1, "one FOLDER"),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.key, "key", "", "the private key's `FILE`")
	f.StringVar(&o.newKey, "new-key", "", "make a pair of keys: `FILE`, which only you can read, and FILE.pub")
	f.BoolVar(&o.print, "print", false, "print what is to be signed")
	return cmd
}

func (o *skillSignOptions) run(args []string) error {
	switch {
	case o.newKey != "" && len(args) == 0 && o.key == "" && !o.print:
		return o.generate()
	case len(args) != 1 || o.newKey != "" || (o.key == "") != o.print:
		return fault.New(fault.Usage, "nacre skill sign: expected --key FILE FOLDER, --print FOLDER or --new-key FILE")
	}
	dir, err := filepath.Abs(args[0])
	if err != nil {
		return fault.Wrap(fault.Usage, err, "%s", args[0])
	}
	s, err := skill.Open(dir)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "%s", args[0])
	}
	if o.print {
		_, err := o.app.Out.Write(sign.Message(s))
		return err
	}
	key, _, err := load.File(o.key)
	if err != nil {
		return err
	}
	defer clear(key)
	signature, public, err := sign.Sign(key, s)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, skill.SignatureFile)
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) { // not through a link
		return fault.Wrap(fault.Exhausted, err, "cannot write the signature")
	}
	if err := writeNew(file, signature, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "%s: signed as %s by %s\n", s.Name, s.Digest, public)
	return err
}

func (o *skillSignOptions) generate() error {
	public, private, err := sign.Generate()
	if err != nil {
		return err
	}
	defer clear(private)
	if err := writeNew(o.newKey, private, 0o600); err != nil {
		return err
	}
	if err := writeNew(o.newKey+".pub", public, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "skill-signers: [%s]\n", strings.Split(string(public), "\n")[1])
	return err
}

// writeNew writes a file that is not there yet.
func writeNew(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already", path).WithHint("name another file: what you have is not overwritten")
	}
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write %s", path)
	}
	return nil
}

// signers refuses a skill whose signature one of the policies does not accept.
// The owner's and the administrator's each have to be satisfied.
func signers(s *skill.Skill, signature []byte, owners, ceiling *policy.Policy) error {
	for who, p := range map[string]*policy.Policy{"policy": owners, "ceiling": ceiling} {
		if p == nil {
			continue
		}
		if err := sign.Required(p.Signers, who, s, signature); err != nil {
			return err
		}
	}
	return nil
}

// usable reads a skill as it was locked, and holds its signature to the policies.
func usable(shelf *shelf.Shelf, name string, owners, ceiling *policy.Policy) (*skill.Skill, lock.Entry, error) {
	s, e, err := shelf.Skill(name)
	if err != nil {
		return nil, e, err
	}
	signature, err := shelf.Signature(e)
	if err != nil {
		return nil, e, err
	}
	return s, e, signers(s, signature, owners, ceiling)
}

// signedFor holds a skill that comes in to the owner's policies.
func (app *App) signedFor(o owner, s *skill.Skill) error {
	owners, err := load.Policy(o.policyPath(), o.uid, nil)
	if err != nil {
		return err
	}
	ceiling, err := load.Policy(o.ceilingPath(), 0, nil)
	if err != nil {
		return err
	}
	return signers(s, s.Signature, owners, ceiling)
}
