package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"nacre/gateway/wire"
)

// lender has secrets lent, whose refresh tokens are replaced when they are used: of all
// gateways that have one, one at a time uses it, and the next has what came of that.
type lender struct {
	control *wire.Conn
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan wire.Renewed
}

// loan is a secret that is lent.
type loan struct {
	from   *lender
	id     uint64
	client wire.Client
	heard  chan wire.Renewed
}

// errOwn says that nothing can be kept, so that one's own copy counts.
var errOwn = errors.New("it cannot be kept")

func newLender(control *wire.Conn) *lender {
	return &lender{control: control, waiting: map[uint64]chan wire.Renewed{}}
}

// lend returns once nobody else has the secret.
func (l *lender) lend(ctx context.Context, s wire.Secret) (*loan, error) {
	lent := &loan{from: l, heard: make(chan wire.Renewed, 2)}
	l.mu.Lock()
	l.last++
	lent.id = l.last
	l.waiting[lent.id] = lent.heard
	l.mu.Unlock()
	if err := l.control.Send(wire.Message{Renew: &wire.Renew{ID: lent.id, Secret: s.Name}}); err != nil {
		return nil, err
	}
	r, err := lent.hear(ctx)
	if err == nil {
		s.Value = r.Value
		lent.client, err = s.Client()
		clear(r.Value)
	}
	if err != nil {
		lent.back()
	}
	return lent, err
}

func (l *loan) hear(ctx context.Context) (r wire.Renewed, err error) {
	select {
	case r = <-l.heard:
	case <-ctx.Done():
		return r, ctx.Err()
	}
	switch {
	case r.Own:
		return r, errOwn
	case r.Error != "":
		return r, &beyond{error: fmt.Errorf("%w: %s", errVault, r.Error)}
	}
	return r, nil
}

// keep gives the secret back with a new refresh token, and returns once that is kept.
func (l *loan) keep(ctx context.Context, refresh string) error {
	defer l.forget()
	if err := l.from.control.Send(wire.Message{Rotated: &wire.Rotated{ID: l.id, Refresh: refresh}}); err != nil {
		return err
	}
	_, err := l.hear(ctx)
	return err
}

// back gives the secret back as it was.
func (l *loan) back() {
	l.forget()
	_ = l.from.control.Send(wire.Message{Rotated: &wire.Rotated{ID: l.id}}) // where it fails, nobody waits
}

func (l *loan) forget() {
	l.from.mu.Lock()
	defer l.from.mu.Unlock()
	delete(l.from.waiting, l.id)
}

// answered is told by the supervisor.
func (l *lender) answered(r wire.Renewed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if heard := l.waiting[r.ID]; heard != nil {
		select {
		case heard <- r:
		default:
		}
	}
}
