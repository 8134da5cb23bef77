package model

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestPrices(t *testing.T) {
	known, err := KnownPrices()
	if err != nil || len(known) < 10 {
		t.Fatalf("%d %v", len(known), err)
	}
	providers, err := Providers()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range known {
		if at, ok := providers[p.Provider]; !ok || p.Dated == "" || !at.Plain && (p.In <= 0 || p.Out <= 0 || p.Cached > p.In || p.Written < p.In) {
			t.Errorf("%+v", p)
		}
	}
	for _, c := range []struct {
		provider, model string
		use             Usage
		cents           string // empty: no price is known
	}{
		{"anthropic", "claude-sonnet-4-5-20250929", Usage{In: 1000, Out: 1000}, "1.8"},
		{"anthropic", "claude-sonnet-4-5", Usage{In: 1_000_000, Out: 1000}, "602.25"}, // over 200,000: dearer
		{"anthropic", "claude-haiku-4-5", Usage{In: 10, Cached: 1000, Written: 100, WrittenHour: 100, Out: 1}, "0.044"},
		{"openai", "gpt-5-nano", Usage{Cached: 1}, "0.000001"}, // half a millionth: rounded up
		{"gemini", "gemini-2.5-pro", Usage{In: 100, Out: 10}, "0.0225"},
		{"ollama", "whatever", Usage{In: 100, Out: 10}, "0"},
		{"anthropic", "claude-opus-9", Usage{}, ""}, {"openai", "claude-haiku-4-5", Usage{}, ""}, {"nobody", "*", Usage{}, ""},
	} {
		p, ok := known.At(c.provider).Of(c.model, c.use.Input())
		if got := Cents(p.Cost(c.use)); ok != (c.cents != "") || ok && got != c.cents {
			t.Errorf("%s %+v: %s %v", c.model, c.use, got, ok)
		}
	}
}

func TestParsePrices(t *testing.T) {
	const good = "dated: 2027-01-02\nprices:\n  - {provider: anthropic, models: [x-*], in: 0.075, out: 2}\n"
	list, err := ParsePrices("p", []byte(good))
	if err != nil || len(list) != 1 || list[0].In != 7500 || list[0].Out != 200000 || list[0].WrittenHour != 7500 || list[0].Dated != "2027-01-02" {
		t.Fatalf("%+v %v", list, err)
	}
	var again Price
	if b, err := json.Marshal(list[0]); err != nil || json.Unmarshal(b, &again) != nil || !reflect.DeepEqual(again, list[0]) {
		t.Errorf("%s: %+v %v", b, again, err)
	}
	for _, bad := range []string{"0.000001", "-1", "1e3", ".5", "5.", "''", "1,5", "10001", "99999999999999999999", "0x10", "~"} {
		if _, err := ParsePrices("p", []byte(strings.Replace(good, "0.075", bad, 1))); err == nil {
			t.Errorf("%s is a price", bad)
		}
	}
	for _, bad := range []string{"", strings.Replace(good, "dated: 2027-01-02\n", "", 1), strings.Replace(good, "out: 2", "outt: 2", 1), strings.Replace(good, ", out: 2", "", 1)} {
		if _, err := ParsePrices("p", []byte(bad)); err == nil {
			t.Errorf("%q is a list of prices", bad)
		}
	}
}

// TestMoney: no sum overflows, whatever is asked.
func TestMoney(t *testing.T) {
	w := Want{Tokens: Highest, Money: Highest * Cent, Most: Highest, Each: Highest}
	if a := w.Amount(w.Most); !w.Valid() || a.Money <= w.Money || a.Tokens != 2*Highest {
		t.Errorf("%+v", a)
	}
	for _, bad := range []Want{{Tokens: -1}, {Most: -1}, {Each: -1}, {Money: -1}, {Most: Highest + 1}, {Money: 1 << 62}} {
		if bad.Valid() {
			t.Errorf("%+v", bad)
		}
	}
	for money, want := range map[int64]string{0: "0", 1: "0.000001", Cent: "1", 2*Cent + Cent/2: "2.5", -Cent / 2: "-0.5"} {
		if got := Cents(money); got != want {
			t.Errorf("%d: %s", money, got)
		}
	}
}
