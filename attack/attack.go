// Package attack judges a sandbox from outside. It plants canaries where no
// agent should reach, runs the program nacre-attack inside the sandbox as a
// hijacked agent would run, and says for each probe whether it was contained.
// What the program claims is believed only where nothing can be seen from
// outside: a token that arrived, a secret that came back, a process that still
// lives or a file that lies there overrides every claim.
package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"time"

	"nacre/attack/wire"
	"nacre/fault"
)

// Command makes the command line that runs probe in a sandbox which is granted
// folder, for writing where it can.
type Command func(probe []string, folder string) []string

// Options say what to attack and how.
type Options struct {
	Name    string  // what is attacked, for the scoreboard
	Flags   string  // how it was started, shown beside the score
	Command Command // nil is an error: there is no default sandbox
	Program string  // the nacre-attack to deliver, a static binary
	// Inside is where the granted folder appears in the sandbox; empty means
	// at the same path.
	Inside string
	// Network makes the command of a sandbox that is granted what the judge
	// serves; nil where that cannot be had: then nothing tries class egress.
	Network func(Outward) (Command, error)
	// Networked runs the other probes in that sandbox too.
	Networked bool
	Limits    wire.Limits // what the sandbox was told to enforce
	Safe      bool        // only probes that do no harm without a sandbox
	Probes    []string    // patterns of ids, such as "kernel.*"; none means all
	Places    []string    // host folders to plant secrets in; none means home and temporary folders
	// Admitted are probes that this sandbox does not claim to hold, each with the
	// reason: an escape is noted beside it, and not counted.
	Admitted map[string]string
	// Progress is told each verdict as it is reached; it may be nil.
	Progress func(Entry)
}

// listTimeout bounds the one time the program runs outside as itself.
const listTimeout = 20 * time.Second

// Probes asks a program for its list.
func Probes(ctx context.Context, program string) ([]wire.Spec, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--list-json").Output()
	if err != nil {
		return nil, fault.Wrap(fault.Command, err, "%s does not list its probes", program).
			WithHint("build it: CGO_ENABLED=0 go build -o nacre-attack ./cmd/nacre-attack")
	}
	var specs []wire.Spec
	if err := json.Unmarshal(out, &specs); err != nil || len(specs) == 0 {
		return nil, fault.Wrap(fault.Invalid, err, "%s lists no probes", program)
	}
	return specs, nil
}

// Run attacks a sandbox and reports. An error means that no score was reached;
// probes that failed one by one are in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	report := Report{Name: o.Name, Flags: o.Flags, Started: time.Now().UTC()}
	if o.Command == nil {
		return report, fault.New(fault.Usage, "no sandbox is named").WithHint("give a command, such as --against 'bwrap … {}'")
	}
	specs, err := Probes(ctx, o.Program)
	if err != nil {
		return report, err
	}
	if specs, err = selected(specs, o); err != nil {
		return report, err
	}
	w, err := plant(ctx, o)
	if err != nil {
		return report, err
	}
	defer w.close()
	if err := w.selfCheck(); err != nil {
		return report, err
	}
	j := judge{world: w, report: &report, options: o}
	j.run(ctx, specs)
	report.Leftovers = append(report.Leftovers, w.leftovers...)
	report.Took = time.Since(report.Started)
	return report, ctx.Err()
}

// selected keeps the probes that the options ask for.
func selected(specs []wire.Spec, o Options) ([]wire.Spec, error) {
	for _, pattern := range o.Probes {
		if !slices.ContainsFunc(specs, func(s wire.Spec) bool { return matches(pattern, s.ID) }) {
			return nil, fault.New(fault.Usage, "no probe is called %q", pattern).WithHint("nacre attack --list lists them")
		}
	}
	var keep []wire.Spec
	for _, s := range specs {
		wanted := len(o.Probes) == 0 || slices.ContainsFunc(o.Probes, func(p string) bool { return matches(p, s.ID) })
		if wanted && (s.Safe || !o.Safe) {
			keep = append(keep, s)
		}
	}
	if len(keep) == 0 {
		return nil, fault.New(fault.Usage, "no probe is left to run").WithHint("the chosen ones are not safe without a sandbox")
	}
	return keep, nil
}

func matches(pattern, id string) bool {
	ok, err := path.Match(pattern, id)
	return ok && err == nil
}

// judge runs batches of probes and turns what comes back into entries.
type judge struct {
	world   *world
	report  *Report
	options Options
}

func (j *judge) run(ctx context.Context, specs []wire.Spec) {
	before := settings()
	var folder []wire.Spec
	together := map[bool][]wire.Spec{} // by whether they need a network
	var alone [][]wire.Spec
	for _, s := range specs {
		if e, done := j.world.unmet(s); done {
			j.add(e)
		} else if s.Alone {
			alone = append(alone, []wire.Spec{s})
		} else {
			together[j.world.networked(s)] = append(together[j.world.networked(s)], s)
		}
	}
	for _, rest := range together {
		for len(rest) > 0 && ctx.Err() == nil {
			rest, folder = j.batch(ctx, rest, folder)
		}
	}
	for _, s := range alone {
		if ctx.Err() == nil {
			_, folder = j.batch(ctx, s, folder)
		}
	}
	j.afterwards(folder, before)
}

// batch runs some probes in one sandbox. It answers the probes that never got
// their turn, and adds those that are judged at the very end to later.
func (j *judge) batch(ctx context.Context, specs, later []wire.Spec) (rest, atEnd []wire.Spec) {
	r := j.world.runIn(ctx, specs)
	for _, s := range specs {
		claim, has := r.results[s.ID]
		switch {
		case has && s.Proof == wire.ByFolder:
			later = append(later, s)
		case has:
			j.add(j.world.verdict(s, claim, r))
		case r.progressed() && r.started[s.ID]:
			j.add(j.world.unanswered(s, r))
		case r.progressed():
			rest = append(rest, s)
		default:
			j.add(Entry{Spec: s, Verdict: wire.Error, Evidence: "the program did not start in the sandbox: " + r.ending()})
		}
	}
	j.report.Noise += r.noise
	return rest, later
}

// afterwards judges what only shows when every sandbox is gone.
func (j *judge) afterwards(specs []wire.Spec, before map[string]string) {
	found := inspect(j.world.folder, j.world.originals)
	for _, s := range specs {
		e := Entry{Spec: s, Verdict: wire.Contained, Proven: true, Evidence: "nothing of the kind lies in the folder"}
		if f, ok := found[s.ID]; ok {
			e.Verdict, e.Evidence = f.verdict, f.evidence
		}
		j.add(e)
	}
	for path, value := range settings() {
		if before[path] != value {
			j.report.Leftovers = append(j.report.Leftovers, fmt.Sprintf("the setting %s changed from %q to %q", path, clean(before[path]), clean(value)))
		}
	}
}

func (j *judge) add(e Entry) {
	if reason, ok := j.options.Admitted[e.ID]; ok && e.Verdict == wire.Escaped {
		e.Verdict, e.Evidence = wire.Info, reason+": "+e.Evidence
	}
	j.report.Entries = append(j.report.Entries, e)
	if j.options.Progress != nil {
		j.options.Progress(e)
	}
}
