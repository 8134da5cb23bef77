// Package budget keeps what grants of models may use, in one run and in one day
// over all runs of an agent. It is the supervisor's: a gateway asks. What is
// reserved is on the disk before its request goes out, so that a run which is
// killed has used what it had reserved.
package budget

import (
	"errors"
	"fmt"
	"sync"

	"nacre/gateway/model"
)

// Limits are the most that may be used; zero where nothing is bounded.
type Limits struct{ Run, Day model.Amount }

// Account is what one grant used. The zero value allows nothing.
type Account struct {
	limits Limits
	day    *day // nil: the day is not bounded
	mu     sync.Mutex
	run    model.Amount
	open   map[uint64]reservation
}

// reservation is what a request may use.
type reservation struct {
	all   model.Amount
	today model.Amount // how much of it was taken on the day below
	date  string
}

// New makes the account of an agent at a provider. The folder is only used where
// there are limits for the day.
func New(folder, agent, provider string, l Limits) (*Account, error) {
	a := &Account{limits: l, open: map[uint64]reservation{}}
	if l.Day == (model.Amount{}) {
		return a, nil
	}
	var err error
	a.day, err = openDay(folder, agent, provider)
	return a, err
}

// Close gives up the account. What is reserved stays used.
func (a *Account) Close() error {
	if a.day == nil {
		return nil
	}
	return a.day.close()
}

// Reserve takes what a request may use, under a number of the request's; a second
// time under the same one, more. It returns how many tokens the answer may have.
func (a *Account) Reserve(id uint64, w model.Want) (most int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits == (Limits{}) {
		return 0, errors.New("the grant has no budget")
	}
	if !w.Valid() {
		return 0, errors.New("the request is for more than there can be")
	}
	var taken model.Amount
	date, err := a.today(func(used *model.Amount, date string) error {
		most = w.Most
		if w.Fewer {
			most = max(1, min(w.Fits(a.limits.Run, a.run), w.Fits(a.limits.Day, *used)))
		}
		taken = w.Amount(most)
		if err := exceeds("", a.limits.Run, a.run, taken); err != nil {
			return err
		}
		if err := exceeds("day's ", a.limits.Day, *used, taken); err != nil {
			return fmt.Errorf("%w (%s, UTC)", err, date)
		}
		*used = used.Plus(taken)
		return nil
	})
	if err != nil {
		return 0, err
	}
	a.run = a.run.Plus(taken)
	r := a.open[id]
	if r.date != date {
		r.date, r.today = date, model.Amount{}
	}
	r.all, r.today = r.all.Plus(taken), r.today.Plus(taken)
	a.open[id] = r
	return most, nil
}

// exceeds says which limit would be exceeded.
func exceeds(whose string, limit, used, more model.Amount) error {
	switch sum := used.Plus(more); {
	case limit.Requests > 0 && sum.Requests > limit.Requests:
		return fmt.Errorf("the %sbudget of %d requests is spent", whose, limit.Requests)
	case limit.Tokens > 0 && sum.Tokens > limit.Tokens:
		return fmt.Errorf("the %sbudget of %d tokens is spent: %d are used or reserved, and the request may use %d", whose, limit.Tokens, used.Tokens, more.Tokens)
	case limit.Money > 0 && sum.Money > limit.Money:
		return fmt.Errorf("the %sbudget of %s cents is spent: %s are used or reserved, and the request may cost %s", whose,
			model.Cents(limit.Money), model.Cents(used.Money), model.Cents(more.Money))
	}
	return nil
}

// Settle gives back what was reserved and takes what was used; all that was
// reserved, where the use is not known whole. It returns that, and what the run and
// the day used, with what is still reserved; of the day nothing where it is not
// bounded.
func (a *Account) Settle(id uint64, used model.Amount, whole bool) (taken, run, today model.Amount, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.open[id]
	if !ok {
		return taken, a.run, today, errors.New("nothing is reserved under that number")
	}
	used = used.Most(model.Amount{}).Least(model.Amount{Tokens: model.Highest, Money: model.Highest * model.Cent})
	if used.Requests = r.all.Requests; !whole {
		used = used.Most(r.all)
	}
	delete(a.open, id)
	a.run = a.run.Plus(used.Minus(r.all))
	if _, err = a.today(func(sum *model.Amount, date string) error {
		back := model.Amount{}
		if date == r.date { // another day's has nothing of it to give back
			back = r.today
		}
		*sum = sum.Plus(used.Minus(r.all).Most(model.Amount{}.Minus(back))).Most(model.Amount{})
		if a.day != nil {
			today = *sum
		}
		return nil
	}); err != nil {
		return used, a.run, today, fmt.Errorf("the day is charged what was reserved: %w", err)
	}
	return used, a.run, today, nil
}

// today changes what the day used; nothing, where it is not bounded.
func (a *Account) today(do func(used *model.Amount, date string) error) (date string, err error) {
	if a.day == nil {
		return "", do(&model.Amount{}, "")
	}
	return a.day.change(do)
}
