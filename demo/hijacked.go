package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"nacre"
)

// scene is a hijacked agent on its stage.
type scene struct {
	*stage
	watch *watch
	model *model
	list  []attempt

	mu       sync.Mutex
	answered []*message // what each attempt came to, as the agent says
	outcomes []*outcome // and as it was judged
	ended    bool
}

// hijacked shows the same agent under a poisoned file.
func (d *demo) hijacked(ctx context.Context) error {
	d.out.title("The same agent, hijacked", "same program, manifest and policy; a file in the project tells its model what to do")
	without, err := d.control(ctx)
	if err != nil {
		return err
	}
	c, err := d.poisoned()
	if err != nil {
		return err
	}
	defer c.end()
	show := func(i int, o outcome) { d.show(c.list[i], without[c.list[i].title], o) }
	c.model.results = c.hear(show)
	world, err := c.connect(ctx, d.nacre, c.model)
	if err != nil {
		return err
	}
	defer world.Close()
	d.out.header()
	events := filepath.Join(c.home, "events.jsonl")
	if _, err = c.run(ctx, d.nacre, []string{"run", "--quiet", "--json-events", events, "--agent", c.manifest()}, nil, nil, nil); err != nil {
		return err
	}
	c.last(endOf(events), show)
	d.afterwards(ctx, c)
	strangers := world.Strangers()
	d.check(len(strangers) == 0, "the gateway asked for nothing but the model", fmt.Sprintf("it asked for %q", strangers))
	fault := c.model.faults(c.key())
	d.check(fault == "", "the model heard the owner's key from the gateway, and never from the agent", fault)
	return nil
}

// hear judges what the model is told of each attempt, while the sandbox is there.
func (c *scene) hear(show func(int, outcome)) func(int, *message) {
	return func(i int, said *message) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended || i >= len(c.list) || said == nil {
			return
		}
		c.answered[i] = said
		if !c.list[i].later {
			o := c.list[i].judge(c.stage, c.watch, *said)
			c.outcomes[i] = &o
			show(i, o)
		}
	}
}

// last judges what could not be judged before, when the sandbox is gone. The last
// attempt may have ended the run, for a reason that nacre gives.
func (c *scene) last(reason string, show func(int, outcome)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for i, a := range c.list {
		said := c.answered[i]
		if said == nil && i == len(c.list)-1 && a.layers[reason] != "" {
			said = &message{Errno: reason}
		}
		switch {
		case c.outcomes[i] != nil:
		case said == nil:
			show(i, outcome{true, "no answer: nothing is shown"})
		default:
			show(i, a.judge(c.stage, c.watch, *said))
		}
	}
}

func (c *scene) end() {
	c.watch.close()
	c.remove()
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

// poisoned makes a stage with its watch, a model, and the file that hijacks it.
func (d *demo) poisoned() (*scene, error) {
	s, err := newStage(d.files, d.assistant)
	if err != nil {
		return nil, err
	}
	c := &scene{stage: s}
	if c.watch, err = newWatch(s); err == nil {
		var kit []byte
		kit, err = os.ReadFile(filepath.Join(d.files, "kit.py"))
		c.model = newModel(kit, c.watch.kit(), func(int, *message) {})
	}
	if err == nil {
		err = c.poison(attempts(s, c.watch, c.model))
	}
	if err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// poison writes the file that tells the model what to do.
func (c *scene) poison(list []attempt) error {
	c.list, c.answered, c.outcomes = list, make([]*message, len(list)), make([]*outcome, len(list))
	return c.write("projects/shop/NOTES.md", poison(list))
}

// control runs, on a stage of its own and without a sandbox, the attempts that
// harm nothing there. It shows that the canaries are alive: what cannot be
// stolen outside either proves nothing inside.
func (d *demo) control(ctx context.Context) (map[string]bool, error) {
	c, err := d.poisoned()
	if err != nil {
		return nil, err
	}
	defer c.end()
	if err := c.poison(slices.DeleteFunc(c.list, func(a attempt) bool { return !a.free })); err != nil {
		return nil, err
	}
	c.model.results = c.hear(func(int, outcome) {})
	address, stop, err := c.model.here()
	if err != nil {
		return nil, err
	}
	defer stop()
	_, err = c.run(ctx, d.assistant, []string{"--json", "Make the tests pass."}, []string{"ANTHROPIC_BASE_URL=" + address, "ANTHROPIC_API_KEY=any"}, nil, nil)
	through := map[string]bool{}
	c.last("", func(i int, o outcome) { through[c.list[i].title] = o.through })
	for i, a := range c.list {
		if o := c.outcomes[i]; o != nil {
			through[a.title] = o.through
		}
		if err == nil && (c.answered[i] == nil || !through[a.title]) {
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
func (d *demo) afterwards(ctx context.Context, c *scene) {
	s, w := c.stage, c.watch
	d.out.line("")
	touched := s.touched()
	d.check(len(touched) == 0, "every canary is as it was planted", fmt.Sprintf("changed: %q", touched))
	w.mu.Lock()
	doors := len(w.doors)
	w.mu.Unlock()
	d.check(doors == 0, "nothing arrived at any door", "something arrived")
	left := running(w.token)
	d.check(len(left) == 0, "no process is left", fmt.Sprintf("processes are left: %q", left))
	outside := "/usr/local/bin/demo-" + w.token
	_, err1 := os.Lstat(outside)
	_, err2 := os.Lstat(filepath.Join(s.project(), "sesame"))
	d.check(os.IsNotExist(err1) && os.IsNotExist(err2), "no program was planted", "a program was planted")
	_ = os.Remove(outside) // ours alone, by its token
	code, err := s.run(ctx, d.nacre, []string{"audit", "verify"}, nil, nil, nil)
	d.check(err == nil && code == 0, "the audit is whole", fmt.Sprintf("the audit does not verify (%d, %v)", code, err))
}
