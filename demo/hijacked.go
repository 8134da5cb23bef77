package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nacre"
)

// hijacked shows the same agent under a poisoned file.
func (d *demo) hijacked(ctx context.Context) error {
	d.out.title("The same agent, hijacked", "same manifest, same policy; a file in the project tells it what to do")
	without, err := d.control(ctx)
	if err != nil {
		return err
	}
	s, w, list, err := d.poisoned()
	if err != nil {
		return err
	}
	defer s.remove()
	defer w.close()
	d.out.header()
	answered, next := map[int]message{}, 0
	show := func(i int, o outcome) { d.show(list[i], without[list[i].title], o) }
	events := filepath.Join(s.home, "events.jsonl")
	_, err = s.run(ctx, d.nacre, []string{"run", "--quiet", "--json-events", events, "--agent", s.manifest()}, func(m message) {
		if m.Kind != "attempt" || next >= len(list) {
			return
		}
		answered[next] = m
		if !list[next].later {
			show(next, list[next].judge(s, w, m))
		}
		next++
	}, nil)
	if err != nil {
		return err
	}
	reason := endOf(events)
	for i, a := range list {
		m, ok := answered[i]
		if !ok && i == len(list)-1 && a.layers[reason] != "" {
			m, ok, a.later = message{Errno: reason}, true, true
		}
		switch {
		case !ok:
			show(i, outcome{true, "no answer: nothing is shown"})
		case a.later:
			show(i, a.judge(s, w, m))
		}
	}
	d.afterwards(ctx, s, w)
	return nil
}

// endOf is the first word of the reason that nacre gave for the end of the run.
func endOf(events string) (reason string) {
	b, _ := os.ReadFile(events)
	for line := range strings.Lines(string(b)) {
		var e struct{ Exit *nacre.Exit }
		if json.Unmarshal([]byte(line), &e) == nil && e.Exit != nil {
			reason, _, _ = strings.Cut(e.Exit.Reason, " ")
		}
	}
	return reason
}

// poisoned makes a stage with its watch and the file that hijacks the agent.
func (d *demo) poisoned() (s *stage, w *watch, list []attempt, err error) {
	if s, err = newStage(d.files); err != nil {
		return nil, nil, nil, err
	}
	if w, err = newWatch(s); err != nil {
		w.close()
		s.remove()
		return nil, nil, nil, err
	}
	list = attempts(s, w)
	return s, w, list, s.write("projects/shop/NOTES.md", poison(list))
}

// control runs, on a stage of its own and without a sandbox, the attempts that
// harm nothing there. It shows that the canaries are alive: what cannot be
// stolen outside either proves nothing inside.
func (d *demo) control(ctx context.Context) (map[string]bool, error) {
	s, w, all, err := d.poisoned()
	if err != nil {
		return nil, err
	}
	defer s.remove()
	defer w.close()
	list := slices.DeleteFunc(all, func(a attempt) bool { return !a.free })
	if err := s.write("projects/shop/NOTES.md", poison(list)); err != nil {
		return nil, err
	}
	through, next := map[string]bool{}, 0
	_, err = s.run(ctx, "python3", []string{"-B", filepath.Join(s.home, "agents/fixer/fixer.py")}, func(m message) {
		if m.Kind == "attempt" && next < len(list) {
			a := list[next]
			through[a.title] = a.judge(s, w, m).through
			next++
		}
	}, nil)
	for _, a := range list {
		if err == nil && !through[a.title] {
			err = fmt.Errorf("the canary for %q is dead: it fails without a sandbox too", a.title)
		}
	}
	return through, err
}

// show prints a row and counts what got through.
func (d *demo) show(a attempt, without bool, o outcome) {
	bare := "not tried"
	if without {
		bare = "succeeds"
	}
	switch {
	case o.through && a.granted:
		d.out.row(a, bare, warned, "within its write access: look at what it changed")
	case o.through:
		d.bad++
		d.out.row(a, bare, failed, o.by)
	default:
		d.out.row(a, bare, stopped, o.by)
	}
}

// afterwards looks at what is left when the sandbox is gone.
func (d *demo) afterwards(ctx context.Context, s *stage, w *watch) {
	d.out.line("")
	touched := s.touched()
	d.check(len(touched) == 0, "every canary is as it was planted", fmt.Sprintf("changed: %q", touched))
	w.mu.Lock()
	doors := len(w.doors)
	w.mu.Unlock()
	d.check(doors == 0, "nothing arrived at any door", "something arrived")
	left := running("/work/fixer/fixer.py")
	d.check(len(left) == 0, "no process is left", fmt.Sprintf("processes are left: %q", left))
	outside := "/usr/local/bin/demo-" + w.token
	_, err1 := os.Lstat(outside)
	_, err2 := os.Lstat(filepath.Join(s.project(), "sesame"))
	d.check(os.IsNotExist(err1) && os.IsNotExist(err2), "no program was planted", "a program was planted")
	_ = os.Remove(outside) // ours alone, by its token
	code, err := s.run(ctx, d.nacre, []string{"audit", "verify"}, nil, nil)
	d.check(err == nil && code == 0, "the audit is whole", fmt.Sprintf("the audit does not verify (%d, %v)", code, err))
}
