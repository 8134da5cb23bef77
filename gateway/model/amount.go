package model

import (
	"fmt"
	"strings"
)

// Amount is what is used of models, or may be.
type Amount struct {
	Requests int64 `json:"requests"`
	Tokens   int64 `json:"tokens"`
	Money    int64 `json:"micro_cents"` // in millionths of a cent
}

// Cent is a cent's worth of Money.
const Cent = 1_000_000

// Plus is the sum.
func (a Amount) Plus(b Amount) Amount {
	return Amount{a.Requests + b.Requests, a.Tokens + b.Tokens, a.Money + b.Money}
}

// Minus is the difference.
func (a Amount) Minus(b Amount) Amount {
	return Amount{a.Requests - b.Requests, a.Tokens - b.Tokens, a.Money - b.Money}
}

// Least has the lesser of each.
func (a Amount) Least(b Amount) Amount {
	return Amount{min(a.Requests, b.Requests), min(a.Tokens, b.Tokens), min(a.Money, b.Money)}
}

// Most has the greater of each.
func (a Amount) Most(b Amount) Amount {
	return Amount{max(a.Requests, b.Requests), max(a.Tokens, b.Tokens), max(a.Money, b.Money)}
}

// Cents writes money for people.
func Cents(money int64) string {
	sign := ""
	if money < 0 {
		sign, money = "-", -money
	}
	s := strings.TrimRight(fmt.Sprintf("%d.%06d", money/Cent, money%Cent), "0")
	return sign + strings.TrimSuffix(s, ".")
}

// Want is what a request may use at most: what goes in, and an answer.
type Want struct {
	Requests, Tokens, Money int64
	Most                    int64 // tokens of the answer
	Each                    int64 // Money that a thousand of those cost
	Fewer                   bool  // the answer may be bounded by what is left
}

// Highest is more than any request uses; with it and a Rate nothing overflows.
const Highest = 1_000_000_000

// Valid tells whether a want can be reckoned with.
func (w Want) Valid() bool {
	for _, n := range []int64{w.Requests, w.Tokens, w.Most, w.Each} {
		if n < 0 || n > Highest {
			return false
		}
	}
	return w.Money >= 0 && w.Money <= Highest*Cent
}

// Amount is the want with an answer of so many tokens.
func (w Want) Amount(most int64) Amount {
	return Amount{w.Requests, w.Tokens + most, w.Money + cost(most, Rate(w.Each))}
}

// Fits is how many tokens an answer may have where so much is left; a limit of
// zero bounds nothing.
func (w Want) Fits(limit, used Amount) int64 {
	most := w.Most
	if limit.Tokens > 0 {
		most = min(most, limit.Tokens-used.Tokens-w.Tokens)
	}
	if limit.Money > 0 && w.Each > 0 {
		most = min(most, max(0, limit.Money-used.Money-w.Money)/w.Each*1000)
	}
	return most
}
