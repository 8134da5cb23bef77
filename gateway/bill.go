package gateway

import (
	"fmt"
	"sync"
	"sync/atomic"

	"nacre"
	"nacre/gateway/model"
	"nacre/gateway/wire"
)

// bill is what one request for a model has reserved and uses.
type bill struct {
	desk     *wire.Model
	till     *till
	id       uint64
	path     string
	price    model.Price
	priced   bool
	input    int64        // tokens going in, about
	granted  int64        // tokens that the answer may have
	reserved model.Amount // about: the supervisor has it exactly
	sent     atomic.Bool  // something went out
	once     sync.Once
	event    nacre.Event
}

// reserve takes more of the budget; without it nothing may go on.
func (b *bill) reserve(w model.Want) error {
	most, err := b.till.reserve(b.desk.Inside, b.id, w)
	if err != nil {
		return err
	}
	b.granted = most
	b.reserved = b.reserved.Plus(w.Amount(most))
	return nil
}

// amount is what a use amounts to.
func (b *bill) amount(u model.Usage) model.Amount {
	a := model.Amount{Tokens: u.Sum()}
	if b.priced {
		price := b.price
		if exact, ok := b.desk.Prices.Of(b.event.Detail["model"], u.Input()); ok {
			price = exact
		}
		a.Money = price.Cost(u)
	}
	return a
}

// further is how many tokens more a stream reserves at a time, once it has used
// what was.
const further = 4096

// afford sees to it that what a stream used is reserved. An error ends it.
func (b *bill) afford(u model.Usage) error {
	u.In += max(0, b.input-u.Input()) // where nothing is said yet
	more := b.amount(u).Minus(b.reserved)
	if more.Tokens <= 0 && more.Money <= 0 {
		return nil
	}
	return b.reserve(model.Want{Tokens: max(0, more.Tokens), Money: max(0, more.Money), Most: further, Each: int64(b.price.Out), Fewer: true})
}

// settle charges what was used, once; where that is not known whole, at least what
// was reserved.
func (b *bill) settle(u model.Usage, whole bool) {
	b.once.Do(func() {
		if b.priced {
			b.event.Detail["prices"] = b.price.Dated
		}
		b.event.Detail["in"], b.event.Detail["out"] = fmt.Sprint(u.Input()), fmt.Sprint(u.Out)
		if u.Cached > 0 {
			b.event.Detail["cached"] = fmt.Sprint(u.Cached)
		}
		if b.reserved.Tokens == 0 {
			b.event = nacre.Event{} // nothing to tell of
		}
		b.till.settle(wire.Settle{Bill: b.id, At: b.desk.Inside, Used: b.amount(u), Whole: whole, Event: b.event})
	})
}
