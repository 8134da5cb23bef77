// Package fault is the closed set of error kinds. A fault says what went
// wrong and where, and what to do about it; kinds are mapped to exit codes
// once, by the command line.
package fault

import (
	"errors"
	"fmt"
)

// Kind classifies a fault. The zero value is Internal: a bug.
type Kind string

// The kinds.
const (
	Internal    Kind = ""            // a bug in Nacre
	Usage       Kind = "usage"       // the command line is wrong
	Invalid     Kind = "invalid"     // a file is wrong: syntax, type, unknown key
	Denied      Kind = "denied"      // policy does not allow it
	Unsupported Kind = "unsupported" // this machine lacks a layer and its tier is not accepted
	NotFound    Kind = "not-found"   // it does not exist
	Conflict    Kind = "conflict"    // it exists already, or changed underneath
	Exhausted   Kind = "exhausted"   // disk, memory, processes or another resource ran out
	Tampered    Kind = "tampered"    // the audit, a lock or the boundary is not as recorded
	Command     Kind = "command"     // the agent's command cannot be executed
	Missing     Kind = "missing"     // the agent's command was not found
	Leftover    Kind = "leftover"    // a sandbox could not be torn down completely
)

// Fault is an error with a kind, a message and a hint.
type Fault struct {
	Kind  Kind
	What  string // one sentence without a full stop, beginning with where if known
	Hint  string // what to do; may be empty
	Cause error
}

func (f *Fault) Error() string {
	if f.Cause != nil {
		return f.What + ": " + f.Cause.Error()
	}
	return f.What
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// New makes a fault.
func New(kind Kind, format string, args ...any) *Fault {
	return Wrap(kind, nil, format, args...)
}

// Wrap makes a fault around a cause.
func Wrap(kind Kind, cause error, format string, args ...any) *Fault {
	return &Fault{Kind: kind, What: fmt.Sprintf(format, args...), Cause: cause}
}

// WithHint sets the hint and returns the fault.
func (f *Fault) WithHint(format string, args ...any) *Fault {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}

// KindOf is the kind of the first fault in err's chain, Internal if none.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Kind
	}
	return Internal
}

// HintOf is the first hint in err's chain.
func HintOf(err error) string {
	for f := (*Fault)(nil); errors.As(err, &f); err = f.Cause {
		if f.Hint != "" {
			return f.Hint
		}
	}
	return ""
}
