// Package api is what travels over a running sandbox's control socket: one
// request and its replies. Package localapi/wire is how.
package api

import (
	"time"

	"nacre"
	"nacre/fault"
	"nacre/sandbox/blueprint"
)

// Op is what is asked for.
type Op string

// The requests.
const (
	Exec    Op = "exec"    // run Command; carries stdin, stdout, stderr, or with TTY none
	Resize  Op = "resize"  // after Exec with TTY, on its connection: the terminal has Size now
	Signal  Op = "signal"  // send Number to the command
	Stop    Op = "stop"    // ask, then kill after Grace
	Usage   Op = "usage"   // what it uses now
	Posture Op = "posture" // what holds now
	Plan    Op = "plan"    // the plan as it holds now
	Asked   Op = "asked"   // what the owner is asked, and has not answered
	Answer  Op = "answer"  // the question Number with Allow
)

// Request is one request; a connection carries one, and what belongs to it.
type Request struct {
	Op      Op            `json:"op"`
	Command []Word        `json:"command,omitempty"`
	TTY     bool          `json:"tty,omitempty"`
	Size    nacre.Window  `json:"size"`
	Number  int           `json:"number,omitempty"`
	Allow   bool          `json:"allow,omitempty"`
	Grace   time.Duration `json:"grace,omitempty"`
}

// Word is one of a command, which may be no UTF-8.
type Word string

// MarshalText writes it so that JSON keeps it.
func (w Word) MarshalText() ([]byte, error) { return []byte(blueprint.Pack(string(w))), nil }

// UnmarshalText reads it.
func (w *Word) UnmarshalText(b []byte) error {
	*w = Word(blueprint.Unpack(string(b)))
	return nil
}

// Words are a command to be sent.
func Words(command []string) (list []Word) {
	for _, word := range command {
		list = append(list, Word(word))
	}
	return list
}

// Words are the command that was sent.
func (r Request) Words() (command []string) {
	for _, word := range r.Command {
		command = append(command, string(word))
	}
	return command
}

// Reply is one answer. With Terminal set it carries a socket that stands for the
// new job's terminal, and another reply follows at its end.
type Reply struct {
	Error    *Problem            `json:"error,omitempty"`
	Terminal bool                `json:"terminal,omitempty"`
	Exit     *nacre.Exit         `json:"exit,omitempty"`
	Usage    *nacre.Usage        `json:"usage,omitempty"`
	Posture  []nacre.Expectation `json:"posture,omitempty"`
	Plan     *nacre.Plan         `json:"plan,omitempty"`
	Asked    *Questions          `json:"asked,omitempty"`
}

// Questions are what the owner of a learning sandbox is asked.
type Questions struct {
	Terminals []uint64   `json:"terminals,omitempty"` // devices that the program inside writes to
	List      []Question `json:"list,omitempty"`
}

// Question is one of them. Its texts were chosen inside.
type Question struct {
	Number int      `json:"number"`
	What   string   `json:"what"` // METHOD scheme://host:port
	Path   string   `json:"path"` // for instance
	More   []string `json:"more,omitempty"`
}

// Problem is a fault on the wire.
type Problem struct {
	Kind fault.Kind `json:"kind"`
	What string     `json:"what"`
	Hint string     `json:"hint,omitempty"`
}

// ProblemOf renders an error for the wire.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	return &Problem{Kind: fault.KindOf(err), What: err.Error(), Hint: fault.HintOf(err)}
}

// Err is the problem as an error again; nil for nil.
func (p *Problem) Err() error {
	if p == nil {
		return nil
	}
	return &fault.Fault{Kind: p.Kind, What: p.What, Hint: p.Hint}
}
