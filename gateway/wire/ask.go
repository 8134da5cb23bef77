package wire

import "nacre/egress"

// MaxQuestions is how many things are asked about in one run: a program chooses them.
const MaxQuestions = 100

// Ask asks whether something may go out that nothing grants.
type Ask struct {
	ID     uint64
	Intent egress.Intent
}

// Answer answers it. What it allows was granted by a Change before.
type Answer struct {
	ID    uint64
	Allow bool
}
