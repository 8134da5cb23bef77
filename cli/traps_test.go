package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
)

// endedBox is a sandbox of which only the name is left.
type endedBox struct{ nacre.Sandbox }

func (endedBox) ID() string { return "box" }

// recorder notes what had been printed when an event came.
type recorder struct {
	t      *testing.T
	err    *os.File
	events []nacre.Event
	fail   error
}

func (r *recorder) Record(_ context.Context, e nacre.Event) error {
	if st, err := r.err.Stat(); err != nil || st.Size() != 0 {
		r.t.Errorf("printed before it was recorded: %v", err)
	}
	r.events = append(r.events, e)
	return r.fail
}

func TestTraps(t *testing.T) {
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		work    func(dir string) error
		printed []string // after the folder's own path is taken out
		fail    error
	}{
		"nothing":   {work: func(dir string) error { return os.WriteFile(dir+"/main.go", nil, 0o644) }},
		"a trap":    {func(dir string) error { return os.WriteFile(dir+"/.envrc", nil, 0o644) }, []string{"planted: environment /.envrc: a shell "}, nil},
		"its name":  {func(dir string) error { return os.WriteFile(dir+"/a\x1b[0m\n", nil, 0o644) }, []string{`planted: hostile-name /a\x1b[0m\n: its name `}, nil},
		"ordinary":  {func(dir string) error { return os.WriteFile(dir+"/Makefile", nil, 0o644) }, []string{"nacre: new or changed, as in ordinary work, and run or obeyed later: /Makefile\n"}, nil},
		"no record": {func(dir string) error { return os.WriteFile(dir+"/.envrc", nil, 0o644) }, []string{"planted: environment /.envrc: "}, full},
		"a flood": {func(dir string) error {
			for i := range 150 {
				if err := os.Symlink("/etc", dir+"/"+strings.Repeat("x", i+1)); err != nil {
					return err
				}
			}
			return nil
		}, []string{"planted: link-out /x: ", "planted: unknown: not all can be told: : 50 more of the kind link-out\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			out, err := os.Create(filepath.Join(t.TempDir(), "err"))
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			plan := nacre.Plan{Digest: "sha256:x", Files: []nacre.FileGrant{{Host: dir, Access: nacre.Write}, {Host: "/", Access: nacre.Read}}}
			s := &session{app: &App{Err: out}, plan: plan, box: endedBox{}}
			folders := watch(context.Background(), plan)
			defer unwatch(folders)
			if len(folders) != 1 {
				t.Fatalf("%d folders are watched", len(folders))
			}
			if err := c.work(dir); err != nil {
				t.Fatal(err)
			}
			r := &recorder{t: t, err: out, fail: c.fail}
			if err := s.tell(r, nacre.Caller{Name: "cli"}, folders); !errors.Is(err, c.fail) {
				t.Errorf("%v, want %v", err, c.fail)
			}
			printed, err := os.ReadFile(out.Name())
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ReplaceAll(string(printed), dir, "")
			if (len(r.events) == 1) != (len(c.printed) > 0) || len(c.printed) == 0 && text != "" {
				t.Errorf("%d records, printed:\n%s", len(r.events), text)
			}
			for _, want := range c.printed {
				if !strings.Contains(text, want) {
					t.Errorf("not printed: %q\n%s", want, text)
				}
			}
			for _, e := range r.events {
				if e.Kind != "sandbox.traps" || e.Sandbox != "box" || e.Detail["findings"] == "" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}
