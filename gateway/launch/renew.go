package launch

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"nacre/gateway/wire"
	"nacre/pattern"
)

// renewals are the secrets that a gateway has on loan: only its plan's.
type renewals struct {
	keeper *Keeper
	names  map[string]bool // that hold a refresh token

	mu      sync.Mutex
	open    map[uint64]chan string // what came of it
	ended   context.Context        // the gateway is gone
	end     context.CancelFunc
	working sync.WaitGroup
}

func newRenewals(keeper *Keeper, secrets []wire.Secret) *renewals {
	r := &renewals{keeper: keeper, names: map[string]bool{}, open: map[uint64]chan string{}}
	r.ended, r.end = context.WithCancel(context.Background())
	for _, s := range secrets {
		if c, err := s.Client(); s.Slot == "oauth" && err == nil && c.Refresh != "" {
			r.names[s.Name] = true
		}
	}
	return r
}

const (
	queueing = 12 * time.Second // for a secret that another sandbox has
	lending  = 40 * time.Second // longer than a gateway takes
)

// maxLoans is how many a gateway has at once: it is the process that strangers talk to.
const maxLoans = 16

// lend answers a gateway that wants to exchange a secret's refresh token.
func (r *renewals) lend(asked wire.Renew, send func(wire.Message) error) {
	back := r.opened(asked)
	if back == nil {
		_ = send(wire.Message{Renewed: &wire.Renewed{ID: asked.ID, Error: "it is not to be lent"}})
		return
	}
	r.working.Go(func() {
		defer r.closed(asked)
		err := r.exchange(asked, back, send)
		answer := wire.Renewed{ID: asked.ID, Own: errors.Is(err, errElsewhere)}
		if err != nil {
			answer.Error = err.Error()
		}
		_ = send(wire.Message{Renewed: &answer}) // where it fails, the gateway is gone
	})
}

func (r *renewals) opened(asked wire.Renew) chan string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.names[asked.Secret] || len(r.open) >= maxLoans || r.open[asked.ID] != nil {
		return nil
	}
	r.open[asked.ID] = make(chan string, 1)
	return r.open[asked.ID]
}

func (r *renewals) closed(asked wire.Renew) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, asked.ID)
}

// exchange lends a secret and keeps what comes of it.
func (r *renewals) exchange(asked wire.Renew, back chan string, send func(wire.Message) error) error {
	ctx, cancel := context.WithTimeout(r.ended, queueing)
	defer cancel()
	value, release, err := r.keeper.Lend(ctx, asked.Secret)
	if err != nil {
		return err
	}
	defer release()
	defer clear(value)
	if err := send(wire.Message{Renewed: &wire.Renewed{ID: asked.ID, Value: value}}); err != nil {
		return err
	}
	late := time.NewTimer(lending)
	defer late.Stop()
	refresh := ""
	select {
	case refresh = <-back:
	case <-late.C:
	case <-r.ended.Done():
		select { // its last words may have been these
		case refresh = <-back:
		default:
		}
	}
	if refresh == "" {
		return nil
	}
	after, err := exchanged(value, refresh)
	defer clear(after)
	if err != nil {
		return err
	}
	return r.keeper.Keep(asked.Secret, value, after)
}

// maxRefresh bounds a refresh token.
const maxRefresh = 8 << 10

// token is what a refresh token may look like: strangers gave it to the gateway.
var token = pattern.Of(`^[\x21-\x7e]+$`)

// exchanged is a secret with another refresh token.
func exchanged(value []byte, refresh string) ([]byte, error) {
	c, err := wire.Secret{Value: value}.Client()
	if err != nil || len(refresh) > maxRefresh || !token().MatchString(refresh) {
		return nil, errors.New("the new refresh token is not one")
	}
	c.Refresh = refresh
	return json.Marshal(c)
}

// rotated is told by the gateway.
func (r *renewals) rotated(told wire.Rotated) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if back := r.open[told.ID]; back != nil {
		select {
		case back <- told.Refresh:
		default:
		}
	}
}

// close returns once everything is kept that there is to keep.
func (r *renewals) close() {
	r.end()
	r.working.Wait()
}
