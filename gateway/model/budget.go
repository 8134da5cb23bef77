package model

import (
	"fmt"
	"sync"
)

// Budget is what one grant may use in one run. The zero value allows nothing.
type Budget struct {
	Requests, Tokens int64 // the most; 0 where the grant does not bound it
	Bounded          bool  // at least one of them does

	mu                       sync.Mutex
	asked, spent, reservedIn int64
}

// Reserve takes what a request may use at most, before it goes out.
func (b *Budget) Reserve(tokens int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.Bounded:
		return fmt.Errorf("the grant has no budget")
	case b.Requests > 0 && b.asked >= b.Requests:
		return fmt.Errorf("the budget of %d requests is spent", b.Requests)
	case b.Tokens > 0 && b.spent+b.reservedIn+tokens > b.Tokens:
		return fmt.Errorf("the budget of %d tokens is spent: %d are used, %d reserved, and the request may use %d", b.Tokens, b.spent, b.reservedIn, tokens)
	}
	b.asked++
	b.reservedIn += tokens
	return nil
}

// Left is how many tokens are neither used nor reserved; most where the grant
// does not bound them.
func (b *Budget) Left(most int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Tokens == 0 {
		return most
	}
	return max(0, min(most, b.Tokens-b.spent-b.reservedIn))
}

// Settle gives back a reservation and takes what was used.
func (b *Budget) Settle(reserved, used int64) (spent int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reservedIn -= reserved
	b.spent += used
	return b.spent
}
