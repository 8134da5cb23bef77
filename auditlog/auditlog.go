// Package auditlog reads the audit for people: it follows it, and says what is
// worth knowing of a record besides its content. It needs no trust: all that
// proves something is in package audit.
package auditlog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"nacre/audit"
	"nacre/fault"
)

// pollEvery is how often Follow looks for more.
const pollEvery = 100 * time.Millisecond

// Follow is audit.Read that waits for more until ctx ends, which is not an
// error. It goes on after records with a Problem, and ends with a fault of kind
// Tampered where the file is replaced or cut short.
func Follow(ctx context.Context, dir string, emit func(audit.Record) error) error {
	var report audit.Report
	for {
		var stop error
		next, err := audit.Continue(ctx, dir, report, func(r audit.Record) error {
			stop = emit(r)
			return stop
		})
		found := fault.KindOf(err) == fault.Tampered && next.Problems > report.Problems
		switch {
		case ctx.Err() != nil:
			return nil
		case stop != nil || err != nil && !found:
			return err
		}
		report = next
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
	}
}

// Notes tells what is remarkable about records that are as they were written.
// They must be given in order.
type Notes struct{ last time.Time }

// Of is the note on the next record: a crash before it, a step back of the
// clock, or nothing.
func (n *Notes) Of(r audit.Record) string {
	if r.Problem != "" {
		return ""
	}
	var text []string
	if r.Crash() {
		text = append(text, fmt.Sprintf("torn record after sequence %d: crash, sealed", r.Seq-1))
	}
	if r.Time.Before(n.last) {
		text = append(text, fmt.Sprintf("the clock went back by %v", n.last.Sub(r.Time)))
	}
	n.last = r.Time
	return strings.Join(text, "; ")
}
