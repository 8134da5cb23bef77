package cli

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"nacre"
	"nacre/sandbox"
	"nacre/terminal"
	"nacre/traps"
)

const (
	lookTime  = 30 * time.Second // for looking at all folders after a run
	maxNotes  = 8                // names of ordinary changes in one line
	maxEvents = 32               // findings in one record of the audit
)

// watched is a folder that the agent may write, as it was before the run.
type watched struct {
	pin    *sandbox.Pin
	before traps.Snapshot
	err    error // why it cannot be told what the agent leaves
}

// planted is a finding with the path of its folder before it.
type planted struct {
	traps.Finding
	folder string
}

func (p planted) path() string { return terminal.Clean(path.Join(p.folder, p.Path)) }

// watch looks at the folders that a plan lets its agent write. One that cannot
// be opened is left to the engine, which refuses it. Unwatch what it returns.
func watch(ctx context.Context, p nacre.Plan) (list []watched) {
	for _, g := range p.Files {
		if g.Access != nacre.Write {
			continue
		}
		pin, err := sandbox.OpenPin(g.Host)
		switch {
		case err != nil:
			continue
		case !pin.Dir: // the owner named this very file
			_ = pin.File.Close()
			continue
		}
		w := watched{pin: pin}
		w.before, w.err = traps.Take(ctx, pin.File)
		list = append(list, w)
	}
	return list
}

func unwatch(list []watched) {
	for _, w := range list {
		_ = w.pin.File.Close()
	}
}

// look is what the agent left, and what of it cannot be told.
func look(ctx context.Context, list []watched) (found []planted, gaps []string) {
	for _, w := range list {
		if w.err != nil {
			gaps = append(gaps, w.err.Error())
			continue
		}
		report, err := traps.Changes(ctx, w.before, w.pin.File)
		if err != nil {
			gaps = append(gaps, err.Error())
		}
		if report.Cut != "" {
			gaps = append(gaps, w.pin.Path+": "+report.Cut)
		}
		for _, f := range report.Findings {
			found = append(found, planted{f, w.pin.Path})
		}
		for _, kind := range slices.Sorted(maps.Keys(report.More)) {
			gaps = append(gaps, fmt.Sprintf("%s: %d more of the kind %s", w.pin.Path, report.More[kind], kind))
		}
	}
	return found, gaps
}

// tell records what the agent left, and then says it. It is said even where it
// cannot be recorded: the run is over, and only the owner can act on it.
func (s *session) tell(audit nacre.Recorder, caller nacre.Caller, list []watched) error {
	s.tellHeld(list)
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	found, gaps := look(ctx, list)
	if len(found)+len(gaps) == 0 {
		return nil
	}
	err := audit.Record(context.Background(), s.trapsEvent(caller, found, gaps))
	var ordinary []string
	for _, p := range found {
		s.events.planted(p)
		if p.Severity == traps.Note {
			ordinary = append(ordinary, p.path())
			continue
		}
		fmt.Fprintf(s.app.Err, "planted: %s %s: %s\n", p.Kind, p.path(), p.Why)
	}
	for _, gap := range gaps {
		s.events.emit(event{Event: "planted", Name: "unknown", Detail: terminal.Clean(gap)})
		fmt.Fprintf(s.app.Err, "planted: unknown: not all can be told: %s\n", terminal.Clean(gap))
	}
	if len(ordinary) > 0 {
		fmt.Fprintln(s.app.Err, "nacre: new or changed, as in ordinary work, and run or obeyed later:", few(ordinary))
	}
	return err
}

// tellHeld says what was read-only in the folders because git's configuration names it: a
// package's script that writes there has had an error of which its reader knows no cause.
func (s *session) tellHeld(list []watched) {
	var held []string
	for _, w := range list {
		for _, n := range w.before.Named() {
			if n.Missing || n.Shared || n.Path == "" || n.Path == "." {
				continue
			}
			s.events.emit(event{Event: "guarded", Path: terminal.Clean(path.Join(w.pin.Path, n.Path)), Detail: terminal.Clean(n.Why)})
			held = append(held, fmt.Sprintf("%s (%s)", path.Join(w.pin.Path, n.Path), n.Why))
		}
	}
	if len(held) > 0 && !s.quiet {
		s.app.note("read-only in this run, since git runs or obeys it: %s", few(held))
	}
}

// few are the first of some names, in one line.
func few(names []string) string {
	shown := strings.Join(names[:min(len(names), maxNotes)], ", ")
	if more := len(names) - maxNotes; more > 0 {
		shown += fmt.Sprintf(" and %d more", more)
	}
	return shown
}

// trapsEvent is the audit's record of what was found.
func (s *session) trapsEvent(caller nacre.Caller, found []planted, gaps []string) nacre.Event {
	detail := map[string]string{"findings": strconv.Itoa(len(found))}
	for i, p := range found[:min(len(found), maxEvents)] {
		detail[fmt.Sprintf("finding.%02d", i+1)] = fmt.Sprintf("%s %s %s %s", p.Severity, p.Change, p.Kind, path.Join(p.folder, p.Path))
	}
	if len(gaps) > 0 {
		detail["unknown"] = strings.Join(gaps, "; ")
	}
	return nacre.Event{
		Kind: "sandbox.traps", Sandbox: s.box.ID(), Plan: s.plan.Digest, Subject: s.plan.Subject.String(),
		Caller: caller, Decision: nacre.Allow,
		Reason: "the agent left it in a folder that it may write", Detail: detail,
	}
}
