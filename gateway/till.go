package gateway

import (
	"errors"
	"sync"
	"time"

	"nacre/gateway/model"
	"nacre/gateway/wire"
)

// till has budgets reserved and settled, by the supervisor.
type till struct {
	control *wire.Conn
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan wire.Reserved
	bills   int // not settled yet
}

func newTill(control *wire.Conn) *till {
	return &till{control: control, waiting: map[uint64]chan wire.Reserved{}}
}

// number is one that no other question or bill has.
func (t *till) number() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return t.last
}

// reserve returns once it is reserved for good. It does not give up before: what
// is reserved must be settled.
func (t *till) reserve(at string, bill uint64, w model.Want) (most int64, err error) {
	id, answer := t.number(), make(chan wire.Reserved, 1)
	t.mu.Lock()
	t.waiting[id] = answer
	t.mu.Unlock()
	if err := t.control.Send(wire.Message{Reserve: &wire.Reserve{ID: id, Bill: bill, At: at, Want: w}}); err != nil {
		return 0, err
	}
	r := <-answer // without a supervisor the gateway ends
	if r.Error != "" {
		return 0, errors.New(r.Error)
	}
	return r.Most, nil
}

// answered is told by the supervisor.
func (t *till) answered(r wire.Reserved) {
	t.mu.Lock()
	answer := t.waiting[r.ID]
	delete(t.waiting, r.ID)
	t.mu.Unlock()
	if answer != nil {
		answer <- r
	}
}

func (t *till) settle(s wire.Settle) { _ = t.control.Send(wire.Message{Settle: &s}) } // unsettled, all is charged

// opened counts the bills that are open.
func (t *till) opened(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bills += n
}

// close gives requests a moment to be settled whose programs are gone.
func (t *till) close() {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		t.mu.Lock()
		left := t.bills
		t.mu.Unlock()
		if left == 0 {
			return
		}
	}
}
