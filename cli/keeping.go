package cli

import (
	"time"

	"nacre"
)

// keepGrace is how long a run's end may take where a home is kept: the agent
// has a part of it to end by itself, then what starts it ends it and packs the home.
const keepGrace = 30 * time.Second

// keeper is a sandbox whose end waits for a home to be kept, whoever ends it.
type keeper struct{ nacre.Sandbox }

// Stop asks the command to end, and kills all once it has had time to keep the home.
func (k keeper) Stop(grace time.Duration) error { return k.Sandbox.Stop(max(grace, keepGrace)) }

// stoppable is the sandbox as it is to be ended.
func (s *session) stoppable() nacre.Sandbox {
	if s.keeping {
		return keeper{s.box}
	}
	return s.box
}

// inTime ends a run that keeps a home before its time is over: the engine waits for
// nothing then. The exit says that it was so.
func (s *session) inTime() (say func(*nacre.Exit)) {
	if !s.keeping {
		return func(*nacre.Exit) {}
	}
	over := make(chan struct{})
	timer := time.AfterFunc(s.plan.Limits.Time-min(keepGrace, s.plan.Limits.Time/4), func() {
		close(over)
		_ = s.box.Stop(keepGrace)
	})
	return func(e *nacre.Exit) {
		if timer.Stop() {
			return
		}
		<-over
		if whyEnded(*e, s.plan.Limits) == "" {
			e.Reason = "timeout"
		}
	}
}
