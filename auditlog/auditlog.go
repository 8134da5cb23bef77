// Package auditlog is all that is done with a record once it is written: it
// reads, verifies and follows it, signs checkpoints, proves single records,
// closes files that grew large and removes old ones. Package audit writes; here
// nothing can keep a record from being written or let anything run.
//
// A record is audit.jsonl and the files before it, audit-N.jsonl, where N is the
// sequence of their first record. The first record of a file that continues
// another has a signed checkpoint of all records before it, and the peaks of
// their tree. Of a file that retention removed there is audit-N.hashes: the
// hashes of its records, 32 bytes each, which are the leaves of the tree.
package auditlog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"nacre/fault"
)

// pollEvery is how often Follow looks for more.
const pollEvery = 100 * time.Millisecond

// Follow is Read that waits for more until ctx ends, which is not an
// error. It goes on after records with a Problem, and ends with a fault of kind
// Tampered where the file is replaced or cut short.
func Follow(ctx context.Context, dir string, emit func(Record) error) error {
	var report Report
	for {
		var stop error
		next, err := Continue(ctx, dir, report, func(r Record) error {
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
func (n *Notes) Of(r Record) string {
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
