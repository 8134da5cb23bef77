package model

import (
	_ "embed"
	"fmt"
	"nacre/egress"
	"strconv"
	"strings"

	"nacre/strict"
)

// Rate is what a thousand tokens cost, as Money.
type Rate int64

// highestRate is a hundred times what any model costs: a slip of the pen.
const highestRate = Highest

// UnmarshalText reads dollars for a million tokens, to five decimals.
func (r *Rate) UnmarshalText(b []byte) error {
	whole, part, _ := strings.Cut(string(b), ".")
	n, err := strconv.ParseUint(whole+(part + "00000")[:5], 10, 63)
	if err != nil || whole == "" || len(part) > 5 || strings.HasSuffix(string(b), ".") || n > highestRate {
		return fmt.Errorf("expected dollars for a million tokens, such as \"0.075\"; not %q", b)
	}
	*r = Rate(n)
	return nil
}

// MarshalText writes them.
func (r Rate) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d.%05d", r/1e5, r%1e5), nil }

// Price is what models cost.
type Price struct {
	Provider    string   `yaml:"provider,required" about:"whose they are"`
	Models      []string `yaml:"models,required,some" about:"which; * stands for anything"`
	Over        int64    `yaml:"over" about:"only requests with more tokens than this going in"`
	In          Rate     `yaml:"in,required" about:"what goes in"`
	Out         Rate     `yaml:"out,required" about:"what comes out, thinking too"`
	Cached      Rate     `yaml:"cached" about:"what goes in and was kept by the provider; default: as in"`
	Written     Rate     `yaml:"written" about:"what goes in to be kept; default: as in"`
	WrittenHour Rate     `yaml:"written-hour" about:"what goes in to be kept for an hour; default: as written"`
	Dated       string   // when the list was made that it is from
}

// Check completes the defaults.
func (p *Price) Check() error {
	for _, d := range []struct{ rate, instead *Rate }{{&p.Cached, &p.In}, {&p.Written, &p.In}, {&p.WrittenHour, &p.Written}} {
		if *d.rate == 0 {
			*d.rate = *d.instead
		}
	}
	return nil
}

// Dearest is what a thousand tokens going in cost at most.
func (p Price) Dearest() Rate { return max(p.In, p.Cached, p.Written, p.WrittenHour) }

// Cost is what a use costs.
func (p Price) Cost(u Usage) int64 {
	return cost(u.In, p.In) + cost(u.Out, p.Out) + cost(u.Cached, p.Cached) + cost(u.Written, p.Written) + cost(u.WrittenHour, p.WrittenHour)
}

// cost is rounded up: what is used is never free by being little.
func cost(tokens int64, r Rate) int64 { return (tokens*int64(r) + 999) / 1000 }

// Reserve is what so many tokens going in cost at most.
func (p Price) Reserve(tokens int64) int64 { return cost(tokens, p.Dearest()) }

// Prices are in the order in which they are looked at.
type Prices []Price

//go:embed prices.yaml
var embedded []byte

// KnownPrices are those that Nacre comes with.
func KnownPrices() (Prices, error) { return ParsePrices("prices.yaml", embedded) }

// ParsePrices reads a list of prices.
func ParsePrices(name string, b []byte) (Prices, error) {
	var file struct {
		Dated  string  `yaml:"dated,required" match:"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$" about:"when these were the prices"`
		Prices []Price `yaml:"prices,required" about:"the first that is for a model counts"`
	}
	if _, err := strict.Decode(name, b, &file); err != nil {
		return nil, err
	}
	for i := range file.Prices {
		file.Prices[i].Dated = file.Dated
	}
	return file.Prices, nil
}

// At are those of one provider.
func (l Prices) At(provider string) (own Prices) {
	for _, p := range l {
		if p.Provider == provider {
			own = append(own, p)
		}
	}
	return own
}

// Of is the price of a model for a request with so many tokens going in.
func (l Prices) Of(model string, in int64) (Price, bool) {
	for _, p := range l {
		for _, pattern := range p.Models {
			if egress.Wild(pattern, model) && (p.Over == 0 || in > p.Over) {
				return p, true
			}
		}
	}
	return Price{}, false
}
