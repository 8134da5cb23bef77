package cli

import (
	"context"
	"fmt"

	"nacre"
	"nacre/sandbox"
	"nacre/traps"
)

// watched is a writable folder, as it was before the run.
type watched struct {
	pin    *sandbox.Pin
	before traps.Snapshot
}

// snare looks at every folder that the plan lets the agent write, so that what
// is planted there can be told from what was there.
func (s *session) snare(ctx context.Context) (list []watched, err error) {
	for _, g := range s.plan.Files {
		if g.Access != nacre.Write {
			continue
		}
		pin, err := sandbox.OpenPin(g.Host)
		if err != nil {
			return list, err
		}
		if !pin.Dir {
			pin.File.Close()
			continue
		}
		before, err := traps.Take(ctx, pin.File)
		if err != nil {
			pin.File.Close()
			return list, err
		}
		list = append(list, watched{pin, before})
	}
	return list, nil
}

// planted reports what the run left that could run or mislead later. It is in
// the record before it is shown.
func (s *session) planted(ctx context.Context, record nacre.Recorder, list []watched) error {
	for _, w := range list {
		report, err := traps.Changes(ctx, w.before, w.pin.File)
		if err != nil {
			return err
		}
		for _, f := range report.Findings {
			if f.Severity != traps.High {
				continue
			}
			detail := map[string]string{"folder": w.pin.Path, "path": f.Path, "kind": string(f.Kind), "change": string(f.Change)}
			e := nacre.Event{Kind: "sandbox.trap", Sandbox: s.box.ID(), Plan: s.plan.Digest, Subject: s.plan.Subject.String(),
				Decision: nacre.Allow, Rule: "files.write", Reason: f.Why, Detail: detail}
			if err := record.Record(ctx, e); err != nil {
				return err
			}
			s.events.emit(event{Event: "planted", Name: string(f.Kind), Detail: f.Path})
			s.app.note("planted: %s (%s %s): %s", f.Path, f.Change, f.Kind, f.Why)
		}
		if report.Cut != "" || len(report.More) > 0 {
			s.app.note("planted: %s", fmt.Sprintf("not all of %s is listed: %s %v", w.pin.Path, report.Cut, report.More))
		}
	}
	return nil
}
