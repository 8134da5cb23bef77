package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"nacre"
	"nacre/egress"
	"nacre/egress/intent"
	"nacre/gateway/wire"
)

// asker has the owner asked about what nothing grants, while a gateway learns. A
// request waits, but not for ever: then it is refused as any other.
type asker struct {
	control  *wire.Conn
	patience time.Duration // none: nobody is asked
	mu       sync.Mutex
	asked    map[string]*inquiry
}

// inquiry is one that was asked.
type inquiry struct {
	id       uint64
	answered chan struct{}
	allow    bool // once it is answered
}

func newAsker(control *wire.Conn, patience time.Duration) *asker {
	return &asker{control: control, patience: patience, asked: map[string]*inquiry{}}
}

// maxRounds is how many questions one request can raise: a push has two.
const maxRounds = 3

// permit decides on a request, and has the owner asked where nothing allows it.
func (g *Gateway) permit(i egress.Intent, r *http.Request) (d nacre.Decision, grant nacre.NetworkGrant, detail map[string]string) {
	for range maxRounds {
		d, grant, detail = g.decide(i, r)
		if d.Effect == nacre.Allow || g.asker.patience == 0 || !g.asker.allowed(r.Context(), d, detail) {
			break
		}
	}
	return d, grant, detail
}

// allowed returns once the owner has allowed it, and false where not, or not soon.
func (a *asker) allowed(ctx context.Context, d nacre.Decision, detail map[string]string) bool {
	i, err := intent.Parse(d.Subject)
	if err != nil || i.String() != d.Subject || i.Method == "" {
		return false
	}
	i.Upgrade, i.Refs = detail["upgrade"], strings.Fields(detail["refs"])
	q := a.question(i)
	if q == nil {
		return false
	}
	late := time.NewTimer(a.patience)
	defer late.Stop()
	select {
	case <-q.answered:
		return q.allow
	case <-late.C:
	case <-ctx.Done():
	}
	return false
}

// question is the one about an intent, whatever its path; nil where too many were asked.
func (a *asker) question(i egress.Intent) *inquiry {
	about := i
	about.Path = ""
	key := strings.Join(append([]string{about.String(), i.Upgrade}, i.Refs...), " ")
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.asked[key]; q != nil || len(a.asked) >= wire.MaxQuestions {
		return q
	}
	q := &inquiry{id: uint64(len(a.asked) + 1), answered: make(chan struct{})}
	i.Path = i.Path[:min(len(i.Path), maxDetail)]
	if a.control.Send(wire.Message{Ask: &wire.Ask{ID: q.id, Intent: i}}) != nil {
		return nil
	}
	a.asked[key] = q
	return q
}

// answered is told by the supervisor, after the change that it allows.
func (a *asker) answered(told wire.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range a.asked {
		select {
		case <-q.answered:
			continue
		default:
		}
		if q.id == told.ID {
			q.allow = told.Allow
			close(q.answered)
		}
	}
}
