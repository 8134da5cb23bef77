// Command demo shows what Nacre does, with the built-in assistant and a stand-in for
// a language model behind the real gateway: first the agent does its task inside
// its grants; then the same agent, under the same manifest and the same policy, is
// hijacked by a file in its project and tries to steal, persist, send out, exhaust
// and break out. What each attempt came to is judged here, outside the sandbox. It
// exits with 1 if anything got through.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"nacre/assistant"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	d := demo{out: newPrinter(os.Stdout)}
	err := d.run(ctx)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	case d.bad > 0:
		os.Exit(1)
	}
}

// demo is one showing.
type demo struct {
	out       *printer
	nacre     string // the program
	assistant string // the agent's
	files     string // this folder
	bad       int    // what went otherwise than it must
}

func (d *demo) run(ctx context.Context) error {
	started := time.Now()
	bin := os.Getenv("NACRE_BIN")
	if bin == "" {
		bin = "bin"
	}
	var err error
	if d.nacre, err = filepath.Abs(filepath.Join(bin, "nacre")); err != nil {
		return err
	}
	d.assistant = filepath.Join(filepath.Dir(d.nacre), "nacre-assistant")
	if d.files, err = filepath.Abs("demo"); err != nil {
		return err
	}
	for _, program := range []string{d.nacre, d.assistant} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("%s is missing: run make demo", program)
		}
	}
	for _, part := range []func(context.Context) error{d.honest, d.hijacked} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	d.out.line("")
	if d.bad > 0 {
		d.out.bad("%d things went otherwise than they must. (%.0f s)", d.bad, time.Since(started).Seconds())
		return nil
	}
	d.out.good("The agent did its work, and nothing got through when it was hijacked. (%.0f s)", time.Since(started).Seconds())
	return nil
}

// check prints one finding and counts it if it is bad.
func (d *demo) check(ok bool, good, bad string) {
	if ok {
		d.out.good("  ✓ %s", good)
		return
	}
	d.bad++
	d.out.bad("  ✗ %s", bad)
}

// honest shows the agent's work, and tests what it made in a sandbox of its
// own: nothing that an agent wrote is run on the host.
func (d *demo) honest(ctx context.Context) error {
	s, err := newStage(d.files, d.assistant)
	if err != nil {
		return err
	}
	defer s.remove()
	m := newModel(nil, "", nil)
	world, err := s.connect(ctx, d.nacre, m)
	if err != nil {
		return err
	}
	defer world.Close()
	d.out.title("An agent at work", "manifest demo/agent.yaml, project demo/shop; one folder granted to write, and a model by the gateway")
	code, err := s.run(ctx, d.nacre, []string{"run", "--agent", s.manifest()}, nil, d.tell(), d.out.line)
	if err != nil {
		return err
	}
	d.check(code == 0, "the agent ended well", fmt.Sprintf("the agent ended with %d", code))
	code, err = s.run(ctx, d.nacre, []string{"run", "--files", s.project() + ":read", "--env", "PYTHONDONTWRITEBYTECODE=1",
		"--", "python3", "-m", "unittest", "-q"}, nil, nil, nil)
	if err != nil {
		return err
	}
	d.check(code == 0, "the project's tests pass, seen from a sandbox that may only read it", "the project's tests do not pass")
	changed, err := s.changed(d.files)
	if err != nil {
		return err
	}
	d.check(len(changed) == 1 && changed[0] == "basket.py", "it changed basket.py and nothing else", fmt.Sprintf("it changed %q", changed))
	fault := m.faults(s.key())
	d.check(fault == "", "the model heard the owner's key from the gateway, and never from the agent", fault)
	return nil
}

// tell shows what the agent says and does.
func (d *demo) tell() func(assistant.Event) {
	said := ""
	flush := func() {
		if said != "" {
			d.out.line("  agent: %s", clean(said))
		}
		said = ""
	}
	return func(e assistant.Event) {
		switch e.Kind {
		case assistant.Said:
			said += e.Text
		case assistant.Called:
			flush()
			d.out.line("         %s", clean(e.Call.String()))
		case assistant.Done:
			flush()
		}
	}
}
