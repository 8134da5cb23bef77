package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/harness"
	"nacre/skill"
	"nacre/skill/check"
	"nacre/skill/lock"
	"nacre/skill/part"
	"nacre/skill/store"
	"nacre/skills"
	"nacre/terminal"
)

type skillAddOptions struct {
	app    *App
	path   string
	accept bool
	tiers  []string
}

func newSkillAdd(app *App) *cobra.Command {
	o := &skillAddOptions{app: app}
	cmd := &cobra.Command{
		Use:   "add [flags] SOURCE",
		Short: "Copy a skill, look at it, and pin it",
		Long: `Copy a skill from a folder, an archive (tar, tar.gz, zip), a git repository or an
artifact in a registry, show what it asks for and what was found in it, and pin it
in nacre.lock. What was found and is marked high refuses it, until you have read it
and say --accept-findings. Git runs in a sandbox that reaches that one repository only.`,
		Example: `  nacre skill add ./skills/greet
  nacre skill add greet.tar.gz
  nacre skill add skills.zip --path skills/greet
  nacre skill add git+https://github.com/acme/skills --path skills/greet
  nacre skill add git+https://github.com/acme/greet.git#v2
  nacre skill add oci:registry.example.com/skills/greet:v2`,
		Args: takes(1, 1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.path, "path", "", "the `FOLDER` of the skill in an archive or a repository")
	cmd.Flags().BoolVar(&o.accept, "accept-findings", false, "add it in spite of what was found in it")
	tierFlag(cmd, &o.tiers)
	return cmd
}

func (o *skillAddOptions) run(ctx context.Context, written string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	src, err := sourceOf(written, o.path, who)
	if err != nil {
		return err
	}
	return o.add(ctx, src)
}

// add brings one skill in.
func (o *skillAddOptions) add(ctx context.Context, src source) error {
	who, s, l, err := o.app.skills()
	if err != nil {
		return err
	}
	st, err := s.Stage()
	if err != nil {
		return err
	}
	defer st.Discard()
	src.accept = o.tiers
	found, e, err := src.fetch(ctx, o.app, st)
	if err != nil {
		return fault.Wrap(fault.KindOf(err), err, "%s", src)
	}
	if err := o.app.signedFor(who, found); err != nil {
		return err
	}
	if old := l.Find(e.Name); old != nil && old.Digest != e.Digest {
		return fault.New(fault.Conflict, "there is a skill %s already, from %s", e.Name, old.Source).
			WithHint("nacre skill update %s shows what would change; nacre skill rm %s removes it", e.Name, e.Name)
	}
	says, err := stagedPart(st)
	if err != nil {
		return err
	}
	if err := o.app.printSkill(found, e, says); err != nil {
		return err
	}
	if e.Accepted, err = o.app.inspect(st, l, o.accept); err != nil {
		return err
	}
	err = s.Edit(func(l *lock.File) error {
		if old := l.Find(e.Name); old != nil && old.Digest != e.Digest { // added meanwhile
			return fault.New(fault.Conflict, "there is a skill %s already", e.Name)
		}
		if err := o.app.recordSkill(ctx, who, "add", e); err != nil {
			return err
		}
		l.Put(e)
		return st.Keep()
	})
	if err == nil {
		_, err = fmt.Fprintf(o.app.Out, "%s: added\n", e.Name)
	}
	return err
}

// inspect shows what was left out of a skill and found in it, and returns the
// kinds of what was accepted, or refuses.
func (app *App) inspect(st *store.Staged, l *lock.File, accept bool) ([]string, error) {
	for _, n := range st.Notes {
		app.note("%s", n)
	}
	files, err := st.Files()
	if err != nil {
		return nil, err
	}
	defer files.Close()
	var names []string
	for _, e := range l.Skills {
		names = append(names, e.Name)
	}
	list, err := check.Look(st.Skill(), files, names, builtInSkills())
	if err != nil {
		return nil, err
	}
	app.printFindings(list)
	kinds := check.Kinds(list)
	if len(kinds) > 0 && !accept {
		return nil, fault.New(fault.Denied, "%s: findings that have to be accepted: %v", st.Skill().Name, kinds).
			WithHint("read the skill; if it is what you want, say so with --accept-findings")
	}
	return kinds, nil
}

func (app *App) printFindings(list []check.Finding) {
	for _, f := range list {
		colour := map[check.Severity]string{check.High: red, check.Note: yellow}[f.Severity]
		fmt.Fprintf(app.Err, "%s %s: %s: %s\n", app.paint(colour, f.Severity.String()+":"), f.Kind, terminal.Clean(f.Where), terminal.Clean(f.What))
	}
}

// builtInSkills are names that a skill of somebody else could be mistaken for.
func builtInSkills() []string {
	return append(harness.BuiltIn(skills.Files), "assistant")
}

// printSkill prints a skill for people, with what it asks for.
func (app *App) printSkill(s *skill.Skill, e lock.Entry, says []part.Line) error {
	t := table{}
	t.add("name", s.Name)
	t.add("kind", s.Kind)
	t.add("says", s.Description)
	t.add("from", e.Source)
	for _, pair := range [][2]string{{"path", e.Path}, {"revision", e.Revision}, {"license", s.License}, {"needs", s.Compatibility}} {
		if pair[1] != "" {
			t.add(pair[0], pair[1])
		}
	}
	t.add("holds", fmt.Sprintf("%s, %d KiB", counted(len(s.Files), "file"), (s.Total+1023)>>10))
	t.add("digest", s.Digest)
	for _, l := range says {
		t.add("runs by", l.String())
	}
	asked, err := asks(s)
	if err != nil {
		return err
	}
	if len(asked) == 0 {
		t.add("asks for", "nothing")
	}
	for _, line := range asked {
		t.add("asks for", line)
	}
	return t.print(app)
}
