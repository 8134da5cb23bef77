package wire

import (
	"nacre"
	"nacre/gateway/model"
)

// Reserve asks for what a request for a model may use.
type Reserve struct {
	ID   uint64 // of the question
	Bill uint64 // of the request; more of it may be asked for
	At   string // the provider's name inside
	Want model.Want
}

// Reserved answers it.
type Reserved struct {
	ID    uint64
	Most  int64  // tokens that the answer may have
	Error string `json:",omitempty"` // nothing is reserved, and nothing goes out
}

// Settle tells what a request used, and has it written into the audit.
type Settle struct {
	Bill  uint64
	At    string
	Used  model.Amount
	Whole bool // it is all; else at least what was reserved is charged
	Event nacre.Event
}
