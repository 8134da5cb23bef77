package launch

import (
	"context"
	"errors"
	"fmt"

	"nacre"
	"nacre/fault"
	"nacre/gateway/budget"
	"nacre/gateway/model"
	"nacre/gateway/wire"
)

// accounts are the budgets of a plan's models, by their names inside. What an
// agent used in a day is kept by what the policy knows it by: its name is nothing.
func (l *Launcher) accounts(p nacre.Plan) (map[string]*budget.Account, error) {
	all := map[string]*budget.Account{}
	for _, m := range p.Models {
		a, err := budget.New(l.Budgets, p.Subject.String(), m.Name, limits(m))
		if err != nil {
			closeAll(all)
			return nil, fault.Wrap(fault.Exhausted, err, "the budgets of models cannot be kept")
		}
		all[model.Inside(m.Name)] = a
	}
	return all, nil
}

func closeAll(accounts map[string]*budget.Account) {
	for _, a := range accounts {
		_ = a.Close() // what is reserved is on the disk
	}
}

// reserve answers a gateway that wants to send a request to a model.
func (g *link) reserve(r wire.Reserve) {
	defer func() { <-g.writing }()
	answer, err := wire.Reserved{ID: r.ID}, errors.New("no grant is for that")
	if a := g.accounts[r.At]; a != nil {
		answer.Most, err = a.Reserve(r.Bill, r.Want)
	}
	if f := (*fault.Fault)(nil); errors.As(err, &f) {
		_ = g.report(context.Background(), nacre.Event{Kind: "network.usage", Decision: nacre.Deny, Reason: err.Error(), Detail: map[string]string{"to": r.At}}) // nothing goes out either way
		err = errors.New("its budget cannot be kept now")                                                                                                        // why is not a program's to know
	}
	if err != nil {
		answer.Error = err.Error()
	}
	_ = g.tell(wire.Message{Reserved: &answer}) // where it fails, the gateway is gone, and nothing goes out
}

// settle takes what a request used, and records it.
func (g *link) settle(s wire.Settle) {
	defer func() { <-g.writing }()
	a := g.accounts[s.At]
	if a == nil {
		return
	}
	used, run, day, err := a.Settle(s.Bill, s.Used, s.Whole)
	if s.Event.Kind == "" && err == nil {
		return
	}
	detail := map[string]string{}
	for k, v := range s.Event.Detail {
		detail[k] = v
	}
	for name, amount := range map[string]model.Amount{"": used, "run_": run, "day_": day} {
		if amount.Tokens > 0 || name == "" {
			detail[name+"tokens"] = fmt.Sprint(amount.Tokens)
		}
		if amount.Money > 0 {
			detail[name+"cents"] = model.Cents(amount.Money)
		}
	}
	if err != nil {
		detail["problem"] = err.Error()
	}
	_ = g.report(context.Background(), nacre.Event{Kind: "network.usage", Decision: s.Event.Decision, Rule: s.Event.Rule, Reason: s.Event.Reason, Detail: detail}) // it is used
}

// settled waits until all is written that the gateway said, and gives up its
// budgets.
func (g *link) settled() {
	for range cap(g.writing) {
		g.writing <- struct{}{}
	}
	closeAll(g.accounts)
}
