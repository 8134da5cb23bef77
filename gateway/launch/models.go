package launch

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/gateway/budget"
	"nacre/gateway/model"
	"nacre/gateway/wire"
	"nacre/manifest"
)

// providers are those that the plan's models are at.
func (l *Launcher) providers(p nacre.Plan) (map[string]model.Provider, error) {
	if len(p.Models) == 0 {
		return nil, nil
	}
	known, err := model.Providers()
	if err != nil {
		return nil, err
	}
	maps.Copy(known, l.Providers)
	seen := map[string]bool{}
	for _, m := range p.Models {
		if err := model.Known(m.Name, known); err != nil {
			return nil, err
		}
		switch {
		case seen[m.Name]:
			return nil, fault.New(fault.Unsupported, "two grants for models at %s", m.Name).WithHint("put them into one entry, with the sum of their budgets")
		case limits(m) == budget.Limits{}:
			return nil, fault.New(fault.Unsupported, "the grant for models at %s has no budget", m.Name).WithHint("say requests, tokens or cents, of a run or per day")
		case limits(m).Day != model.Amount{} && l.Budgets == "":
			return nil, fault.New(fault.Unsupported, "there is nowhere to keep what was used at %s in a day", m.Name)
		}
		seen[m.Name] = true
	}
	return known, nil
}

func amount(m nacre.NamedGrant, name string) int64 {
	n, err := strconv.ParseInt(m.Detail[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// limits are a grant's budget.
func limits(m nacre.NamedGrant) budget.Limits {
	of := func(kind string) model.Amount {
		return model.Amount{Requests: amount(m, "requests"+kind), Tokens: amount(m, "tokens"+kind), Money: min(amount(m, "cents"+kind), maxCents) * model.Cent}
	}
	return budget.Limits{Run: of(""), Day: of("-per-day")}
}

// maxCents bounds what is reckoned with.
const maxCents = 1_000_000_000_000

// models puts the plan's models into the configuration: a name inside, where it
// leads, its budget and its key. It returns what tells programs of them.
func (l *Launcher) models(p nacre.Plan, config *wire.Config) (told []nacre.Variable, err error) {
	if len(p.Models) == 0 {
		return nil, nil
	}
	known, err := l.providers(p)
	if err != nil {
		return nil, err
	}
	prices, err := model.KnownPrices()
	if err != nil {
		return nil, err
	}
	prices = slices.Concat(l.Prices, prices)
	config.Rules.Grants = slices.Clone(config.Rules.Grants)
	for _, m := range p.Models {
		at := known[m.Name]
		inside := model.Inside(m.Name)
		if at.Port == 0 {
			at.Port = 443
		}
		g := nacre.NetworkGrant{Grant: m.Grant, Host: at.Host, As: inside, Scheme: "http", Ports: []int{80}, Methods: []string{"GET", "POST"}, Paths: at.Paths}
		config.Rules.Grants = append(config.Rules.Grants, g)
		config.Models = append(config.Models, wire.Model{Inside: inside, Host: at.Host, Port: at.Port, Plain: at.Plain, API: at.API, Query: at.Query,
			Models: strings.Split(m.Detail["models"], manifest.Separator), Bound: cmp.Or(at.Bound, "max_tokens"), Prices: prices.At(m.Name), Money: limits(m).Run.Money+limits(m).Day.Money > 0})
		if at.Slot != "" { // inside it is in the clear, as far as the gateway
			config.Secrets = append(config.Secrets, wire.Secret{Grant: m.ID, Name: m.Name, Hosts: []string{inside}, Slot: at.Slot, Plain: true})
		}
		for _, name := range slices.Sorted(maps.Keys(at.Variables)) {
			told = append(told, nacre.Variable{Name: name, Value: strings.ReplaceAll(at.Variables[name], "{BASE}", "http://"+inside)})
		}
	}
	return told, nil
}
