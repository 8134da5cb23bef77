package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/skill"
	"nacre/skill/lock"
	"nacre/skill/part"
	"nacre/skill/shelf"
	"nacre/skill/store"
	"nacre/terminal"
)

type skillUpdateOptions struct {
	app    *App
	from   string
	path   string
	yes    bool
	accept bool
	tiers  []string
}

func newSkillUpdate(app *App) *cobra.Command {
	o := &skillUpdateOptions{app: app}
	cmd := &cobra.Command{
		Use:   "update [flags] [NAME]...",
		Short: "Fetch skills again, show what would change, and pin what you agree to",
		Long: `Fetch skills again from where they came from, all or those named. What would
change is shown: how what it brings is run and what it asks for first, then its
files, then what was found in them. It is pinned once you have agreed, on a terminal or by --yes.

Rules of your policy that are bound to a skill's entry in nacre.lock go on to
hold: an update that asks for more gets no more than they say.`,
		Example: `  nacre skill update
  nacre skill update greet --yes
  nacre skill update greet --from ./skills/greet`,
		Args: takes(0, -1, "names"), ValidArgsFunction: app.skillNames,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "from now on it comes from this `SOURCE`")
	f.StringVar(&o.path, "path", "", "the `FOLDER` in that source")
	f.BoolVarP(&o.yes, "yes", "y", false, "agree to what is shown")
	f.BoolVar(&o.accept, "accept-findings", false, "agree in spite of what was found in it")
	tierFlag(cmd, &o.tiers)
	return cmd
}

func (o *skillUpdateOptions) run(ctx context.Context, names []string) error {
	who, s, l, err := o.app.skills()
	if err != nil {
		return err
	}
	if (o.from != "" || o.path != "") && (len(names) != 1 || o.from == "") {
		return fault.New(fault.Usage, "--from is for one skill, and --path goes with it")
	}
	if len(names) == 0 {
		for _, e := range l.Skills {
			names = append(names, e.Name)
		}
	}
	for _, name := range names {
		e, err := l.Need(name)
		if err != nil {
			return err
		}
		if err := o.one(ctx, who, s, *e); err != nil {
			return err
		}
	}
	return nil
}

// one updates one skill.
func (o *skillUpdateOptions) one(ctx context.Context, who owner, s *shelf.Shelf, old lock.Entry) error {
	from, path := old.Source, old.Path
	if o.from != "" {
		from, path = o.from, o.path
	}
	src, err := sourceOf(from, path, who)
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
	switch {
	case err != nil:
		return fault.Wrap(fault.KindOf(err), err, "%s: %s", old.Name, src)
	case e.Name != old.Name:
		return fault.New(fault.Conflict, "%s: what comes from %s is called %s now", old.Name, src, e.Name).
			WithHint("nacre skill add adds it by its new name")
	}
	if err := o.app.signedFor(who, found); err != nil {
		return err
	}
	if e.Digest == old.Digest {
		e.Accepted = old.Accepted
		if _, err := fmt.Fprintf(o.app.Out, "%s: as it was\n", e.Name); err != nil {
			return err
		}
		return o.pin(ctx, who, s, st, old, e)
	}
	if err := o.show(s, st, old, found); err != nil {
		return err
	}
	// Its name is no news, whatever else there is by now.
	if e.Accepted, err = o.app.inspect(st, &lock.File{}, o.accept); err != nil {
		return err
	}
	if err := o.agree(e.Name); err != nil {
		return err
	}
	if err := o.pin(ctx, who, s, st, old, e); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "%s: updated\n", e.Name)
	return err
}

// pin puts the new entry in the place of the old one, if that is still there.
func (o *skillUpdateOptions) pin(ctx context.Context, who owner, s *shelf.Shelf, st *store.Staged, old, e lock.Entry) error {
	return s.Edit(func(l *lock.File) error {
		if now := l.Find(old.Name); now == nil || now.Digest != old.Digest {
			return fault.New(fault.Conflict, "the skill %s was changed meanwhile", old.Name).WithHint("try again")
		}
		if err := o.app.recordSkill(ctx, who, "update", e); err != nil {
			return err
		}
		l.Put(e)
		return st.Keep()
	})
}

// show prints what would change: what is asked for, then files.
func (o *skillUpdateOptions) show(s *shelf.Shelf, st *store.Staged, entry lock.Entry, found *skill.Skill) error {
	old, before, err := verified(s, entry)
	if err != nil && old == nil {
		o.app.note("%v: it is shown as if it were new", err)
	}
	fmt.Fprintf(o.app.Out, "%s: %s, was %s\n", found.Name, found.Digest, entry.Digest)
	if old != nil && old.Kind != found.Kind {
		fmt.Fprintln(o.app.Out, o.app.paint(red, fmt.Sprintf("+ it is a %s, and was a %s", found.Kind, old.Kind)))
	}
	after, err := stagedPart(st)
	if err != nil {
		return err
	}
	changes, err := askedMore(old, found)
	if err != nil {
		return err
	}
	how := part.Diff(before, after)
	for _, c := range how {
		colour := map[bool]string{true: red, false: green}[c.More()]
		fmt.Fprintln(o.app.Out, o.app.paint(colour, terminal.Clean(c.String())))
	}
	for _, c := range changes {
		colour := map[bool]string{true: red, false: green}[c.Added]
		fmt.Fprintln(o.app.Out, o.app.paint(colour, terminal.Clean(c.String())))
	}
	if len(changes)+len(how) == 0 {
		fmt.Fprintln(o.app.Out, "what it asks for is the same")
	}
	new, err := st.Files()
	if err != nil {
		return err
	}
	defer new.Close()
	if old == nil {
		return o.app.printChanges(store.Compare(&skill.Skill{}, found, nil, new))
	}
	was, err := skill.Beneath(s.Folder(entry))
	if err != nil {
		return err
	}
	defer was.Close()
	return o.app.printChanges(store.Compare(old, found, was, new))
}

// printChanges prints which files differ, and how where they are short texts.
func (app *App) printChanges(list []store.Change, err error) error {
	for _, c := range list {
		fmt.Fprintf(app.Out, "%s %s\n", c.What, terminal.Clean(c.Path))
		if c.Old == nil && c.New == nil {
			continue
		}
		for line := range strings.Lines(string(diff.Diff(c.Path, c.Old, c.Path+" (new)", c.New))) {
			if strings.HasPrefix(line, "diff ") {
				continue
			}
			if _, err := fmt.Fprintln(app.Out, "   ", terminal.Clean(strings.TrimSuffix(line, "\n"))); err != nil {
				return err
			}
		}
	}
	return err
}

// agree asks whether to go on.
func (o *skillUpdateOptions) agree(name string) error {
	if o.yes {
		return nil
	}
	if !o.app.interactive() {
		return fault.New(fault.Denied, "%s: nothing was changed: there is nobody to ask", name).WithHint("read what would change, and say --yes")
	}
	fmt.Fprintf(o.app.Err, "Pin %s as shown? [y/N]: ", name)
	answer, err := bufio.NewReaderSize(o.app.In, 16).ReadString('\n')
	if err != nil {
		fmt.Fprintln(o.app.Err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return fault.New(fault.Denied, "%s: nothing was changed", name)
	}
	return nil
}
