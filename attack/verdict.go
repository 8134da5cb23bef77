package attack

import (
	"fmt"
	"strings"

	"nacre/attack/wire"
)

// WithoutGroups is what Nacre admits where a watchdog stands in for control
// groups (nacre.TierWatchdog).
func WithoutGroups() map[string]string {
	return map[string]string{"exhaustion.cpu": "the watchdog bounds processor time in all, not the share at once"}
}

// verdict weighs a claim against what is seen from outside.
func (w *world) verdict(s wire.Spec, claim wire.Result, r *ran) Entry {
	e := Entry{Spec: s, Verdict: claim.Verdict, Evidence: clean(claim.Evidence)}
	if name, ok := w.secretIn(claim.Secret + "\n" + claim.Evidence); ok {
		return e.outside(wire.Escaped, "the secret %q came back: %s", name, e.Evidence)
	}
	if where, ok := w.arrived(s.ID); ok {
		return e.outside(wire.Escaped, "its token arrived at %s", where)
	}
	if p, ok := processOf(r.alive, s.ID); ok {
		return e.outside(wire.Escaped, "process %d outlived the sandbox", p.pid)
	}
	switch {
	case r.unchanged != nil:
		return e.failed("the judge could not change the folder: " + r.unchanged.Error())
	case r.twice[s.ID]:
		return e.failed("two results came for it")
	case claim.Verdict == wire.NotApplicable:
		return e.failed("the program says that it does not apply, which is the judge's to say")
	case claim.Verdict == wire.Error:
		return e
	case s.Class == "egress" && !w.hasReached(s.ID):
		return e.failed("what is granted was not reached, so that nothing is shown")
	}
	switch s.Proof {
	case wire.BySecret:
		if claim.Verdict == wire.Escaped {
			return e.failed("an escape is claimed, but no planted secret came back")
		}
	case wire.ByReach:
		return e.outside(wire.Contained, "what is granted is reached (inside: %s)", e.Evidence)
	case wire.ByArrival:
		return e.outside(wire.Contained, "no token arrived (inside: %s)", e.Evidence)
	case wire.ByProcess:
		if r.heldOpen.Load() {
			return e.outside(wire.Escaped, "the output stayed open after the sandbox's end")
		}
		return e.outside(wire.Contained, "no process is left (inside: %s)", e.Evidence)
	case wire.ByOutput:
		return w.byOutput(e, r)
	case wire.ByHost:
		return w.byHost(e, claim.Secret)
	}
	return e
}

func (e Entry) outside(v wire.Verdict, format string, args ...any) Entry {
	e.Verdict, e.Proven, e.Evidence = v, true, fmt.Sprintf(format, args...)
	return e
}

func (e Entry) failed(why string) Entry {
	e.Verdict, e.Evidence = wire.Error, why+": "+e.Evidence
	return e
}

// unlimitedOutput is what a sandbox with no told limit may let through.
const unlimitedOutput = 64 << 20

func (w *world) byOutput(e Entry, r *ran) Entry {
	if e.Terminal {
		if r.marked {
			return e.outside(wire.Escaped, "the sequences came through to the launcher's terminal")
		}
		return e.outside(wire.Contained, "the sequences were dropped")
	}
	limit := w.config.Limits.Output
	if limit == 0 {
		limit = unlimitedOutput
	}
	total := r.bytes + r.tail.bytes
	if total > limit+limit/10+1<<20 {
		return e.outside(wire.Escaped, "%d bytes came out, where %d are the limit", total, limit)
	}
	return e.outside(wire.Contained, "%d bytes came out", total)
}

// byHost compares what was read inside with the host's own values.
func (w *world) byHost(e Entry, told string) Entry {
	if told == "" {
		return e.outside(wire.Contained, "no value came back (inside: %s)", e.Evidence)
	}
	for _, value := range w.values[e.ID] {
		for line := range strings.Lines(told) {
			if strings.TrimSpace(line) == value || told == value {
				return e.outside(wire.Escaped, "the host's own value came back (%d bytes, not shown)", len(value))
			}
		}
	}
	return e.outside(wire.Contained, "what came back is not the host's (%d bytes)", len(told))
}

// unanswered is a probe that began and never answered. A bomb that took its
// sandbox with it was contained; anything else is for a person to look at.
func (w *world) unanswered(s wire.Spec, r *ran) Entry {
	e := Entry{Spec: s, Verdict: wire.Error, Evidence: "it began and never answered: " + r.ending(), Proven: true}
	ends := s.Class == "exhaustion" || s.ID == wire.BlockedReplaced || s.ID == wire.BlockedMovedIn
	if ends && r.unchanged == nil && s.Alone && !r.late.Load() && !r.succeeded {
		e.Verdict, e.Evidence = wire.Contained, "the sandbox was ended: "+r.ending()
	}
	if s.Proof == wire.ByOutput && e.Verdict == wire.Contained {
		e = w.byOutput(e, r)
	}
	if p, ok := processOf(r.alive, s.ID); ok {
		e.Verdict, e.Evidence = wire.Escaped, fmt.Sprintf("process %d outlived the sandbox", p.pid)
	}
	return e
}

// unmet tells whether what a probe needs is missing, and whose fault it is:
// the machine lacks it (not applicable), or it could not be planted (error).
func (w *world) unmet(s wire.Spec) (Entry, bool) {
	for _, need := range s.Needs {
		kind, what, _ := strings.Cut(need, ":")
		e := Entry{Spec: s, Verdict: wire.NotApplicable, Proven: true}
		switch kind {
		case "path":
			if !anyExists(strings.Split(what, "|")) {
				e.Evidence = "this machine has none of " + strings.ReplaceAll(what, "|", ", ")
				return e, true
			}
		case "arch":
			if what != architecture {
				e.Evidence = "this machine is " + architecture
				return e, true
			}
		case "value":
			if len(w.values[what]) == 0 {
				e.Evidence = "this machine has no such value"
				return e, true
			}
		case "canary":
			if err := w.missing[what]; err != nil {
				e.Evidence = clean(err.Error())
				if !lacking(err) {
					e.Verdict = wire.Error
				}
				return e, true
			}
		default:
			e.Verdict, e.Evidence = wire.Error, "it needs something unknown: "+clean(need)
			return e, true
		}
	}
	return Entry{}, false
}
