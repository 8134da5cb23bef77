package budget

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nacre/gateway/model"
)

// account opens one of the agent's, whose clock is the test's.
func account(t *testing.T, folder string, l Limits, now *time.Time) *Account {
	t.Helper()
	a, err := New(folder, "/home/o/agent.yaml", "anthropic", l)
	if err != nil {
		t.Fatal(err)
	}
	if a.day != nil && now != nil {
		a.day.now = func() time.Time { return *now }
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func folder(t *testing.T) string { return filepath.Join(t.TempDir(), "budgets") }

func tokens(n int64) model.Want { return model.Want{Requests: 1, Tokens: n} }

// TestReserve: what does not fit, in whatever way, is refused, and what comes back
// can be used.
func TestReserve(t *testing.T) {
	day := Limits{Day: model.Amount{Tokens: 100}}
	for name, c := range map[string]struct {
		limits Limits
		before []model.Want
		want   model.Want
		most   int64
		err    string
	}{
		"no budget":        {Limits{}, nil, tokens(0), 0, "has no budget"},
		"fits":             {Limits{Run: model.Amount{Tokens: 100}}, nil, tokens(100), 0, ""},
		"too many":         {Limits{Run: model.Amount{Tokens: 100}}, nil, tokens(101), 0, "the budget of 100 tokens is spent: 0 are used or reserved, and the request may use 101"},
		"with the answer":  {Limits{Run: model.Amount{Tokens: 100}}, nil, model.Want{Tokens: 50, Most: 51}, 0, "may use 101"},
		"a second":         {Limits{Run: model.Amount{Tokens: 100}}, []model.Want{tokens(60)}, tokens(60), 0, "60 are used or reserved"},
		"requests":         {Limits{Run: model.Amount{Requests: 1}}, []model.Want{tokens(1)}, tokens(1), 0, "the budget of 1 requests is spent"},
		"money":            {Limits{Run: model.Amount{Money: 2 * model.Cent}}, nil, model.Want{Money: model.Cent, Most: 1000, Each: model.Cent + 1}, 0, "the budget of 2 cents is spent: 0 are used or reserved, and the request may cost 2.000001"},
		"money fits":       {Limits{Run: model.Amount{Money: 2 * model.Cent}}, nil, model.Want{Money: model.Cent, Most: 1000, Each: model.Cent}, 1000, ""},
		"fewer":            {Limits{Run: model.Amount{Tokens: 100}}, []model.Want{tokens(60)}, model.Want{Tokens: 10, Most: 1000, Fewer: true}, 30, ""},
		"fewer money":      {Limits{Run: model.Amount{Money: 2 * model.Cent}}, nil, model.Want{Money: model.Cent, Most: 9000, Each: model.Cent / 4, Fewer: true}, 4000, ""},
		"fewer of two":     {Limits{Run: model.Amount{Tokens: 100}, Day: model.Amount{Tokens: 50}}, nil, model.Want{Tokens: 10, Most: 1000, Fewer: true}, 40, ""},
		"fewer than one":   {Limits{Run: model.Amount{Tokens: 100}}, []model.Want{tokens(100)}, model.Want{Most: 1000, Fewer: true}, 0, "is spent"},
		"day":              {day, []model.Want{tokens(60)}, tokens(60), 0, "the day's budget of 100 tokens is spent"},
		"day's requests":   {Limits{Day: model.Amount{Requests: 1}}, []model.Want{tokens(1)}, tokens(1), 0, "the day's budget of 1 requests"},
		"day's money":      {Limits{Day: model.Amount{Money: 1}}, nil, model.Want{Money: 2}, 0, "the day's budget of 0.000001 cents"},
		"run before day":   {Limits{Run: model.Amount{Tokens: 10}, Day: model.Amount{Tokens: 100}}, nil, tokens(11), 0, "the budget of 10 tokens"},
		"less than none":   {day, nil, model.Want{Tokens: -1}, 0, "more than there can be"},
		"more than can be": {day, nil, model.Want{Most: 1 << 62}, 0, "more than there can be"},
	} {
		a := account(t, folder(t), c.limits, nil)
		for i, w := range c.before {
			if _, err := a.Reserve(uint64(i), w); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		most, err := a.Reserve(99, c.want)
		if most != c.most || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d %v", name, most, err)
		}
	}
}

// TestSettle: what was not used comes back; what is not known is charged, and so is
// what was used beyond.
func TestSettle(t *testing.T) {
	for name, c := range map[string]struct {
		used  int64
		whole bool
		left  int64
	}{"less": {30, true, 70}, "not known": {30, false, 40}, "more": {80, true, 20}, "more than known": {80, false, 20}, "absurd": {-5, true, 100}} {
		a := account(t, folder(t), Limits{Run: model.Amount{Tokens: 100}, Day: model.Amount{Tokens: 100}}, nil)
		if _, err := a.Reserve(1, tokens(40)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reserve(1, model.Want{Tokens: 20}); err != nil { // more, in the middle of it
			t.Fatal(err)
		}
		used, run, day, err := a.Settle(1, model.Amount{Tokens: c.used}, c.whole)
		if err != nil || 100-run.Tokens != c.left || run != day || used != run || run.Requests != 1 {
			t.Errorf("%s: %+v %+v %+v %v", name, used, run, day, err)
		}
		if _, _, _, err := a.Settle(1, model.Amount{}, true); err == nil {
			t.Errorf("%s: settled twice", name)
		}
		if _, err := a.Reserve(2, tokens(c.left+1)); err == nil {
			t.Errorf("%s: more than is left", name)
		}
		if _, err := a.Reserve(2, tokens(c.left)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFlood: many sandboxes of one agent, each with many requests at once, never
// reserve more than a day has, and all of it can be.
func TestFlood(t *testing.T) {
	dir := folder(t)
	limits := Limits{Day: model.Amount{Tokens: 1000, Requests: 60}}
	var all sync.WaitGroup
	var mu sync.Mutex
	used, refused := int64(0), 0
	for range 4 {
		a := account(t, dir, limits, nil)
		for id := range uint64(40) {
			all.Go(func() {
				_, err := a.Reserve(id, tokens(30))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused++
					return
				}
				used += 30
			})
		}
	}
	all.Wait()
	if used != 990 || refused != 160-33 {
		t.Errorf("%d tokens, %d refused", used, refused)
	}
	if days, err := Days(dir, "/home/o/agent.yaml"); err != nil || len(days) != 1 || days[0].Used.Tokens != 990 || days[0].Used.Requests != 33 {
		t.Errorf("%+v %v", days, err)
	}
	if days, err := Days(dir, "/another"); err != nil || len(days) != 0 {
		t.Errorf("%+v %v", days, err)
	}
}

// TestRestart: a day's use outlives whoever kept it, what was reserved too.
func TestRestart(t *testing.T) {
	dir := folder(t)
	limits := Limits{Day: model.Amount{Tokens: 100}}
	a := account(t, dir, limits, nil)
	if _, err := a.Reserve(1, tokens(60)); err != nil {
		t.Fatal(err)
	}
	b := account(t, dir, limits, nil) // a is no more: nothing was settled
	if _, err := b.Reserve(1, tokens(41)); err == nil {
		t.Error("what was reserved came back")
	}
	if _, err := b.Reserve(1, tokens(40)); err != nil {
		t.Error(err)
	}
	other, err := New(dir, "/home/o/other.yaml", "anthropic", limits)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Reserve(1, tokens(100)); err != nil {
		t.Errorf("another agent has a budget of its own: %v", err)
	}
}

// TestClock: a new day is new; a clock that goes back brings nothing back, and what
// was reserved yesterday is not given to today.
func TestClock(t *testing.T) {
	dir := folder(t)
	now := time.Date(2027, 3, 1, 23, 59, 0, 0, time.UTC)
	a := account(t, dir, Limits{Day: model.Amount{Tokens: 100}}, &now)
	reserve := func(id uint64, n int64, ok bool) {
		t.Helper()
		if _, err := a.Reserve(id, tokens(n)); (err == nil) != ok {
			t.Errorf("%d on %s: %v", n, now, err)
		}
	}
	reserve(1, 100, true)
	reserve(2, 1, false)
	now = now.Add(2 * time.Minute) // midnight
	reserve(3, 90, true)
	now = now.Add(-2 * time.Minute) // and back
	reserve(4, 11, false)
	now = now.AddDate(0, -1, 0)
	reserve(4, 11, false)
	now = time.Date(2027, 3, 2, 0, 1, 0, 0, time.FixedZone("far", 14*3600)) // the first of March in UTC
	reserve(4, 11, false)
	if _, _, day, err := a.Settle(1, model.Amount{Tokens: 5}, true); err != nil || day.Tokens != 90 {
		t.Errorf("yesterday's reservation changed today: %+v %v", day, err)
	}
	if _, _, day, err := a.Settle(3, model.Amount{Tokens: 50}, true); err != nil || day.Tokens != 50 {
		t.Errorf("%+v %v", day, err)
	}
	reserve(5, 40, true)
	now = time.Date(2027, 3, 3, 0, 0, 0, 0, time.UTC)
	if _, err := a.Reserve(5, model.Want{Tokens: 30}); err != nil { // the same request goes on
		t.Error(err)
	}
	if _, _, day, err := a.Settle(5, model.Amount{Tokens: 10}, true); err != nil || day.Tokens != 0 {
		t.Errorf("%+v %v", day, err)
	}
	reserve(6, 1, true)
	if _, _, day, err := a.Settle(6, model.Amount{Tokens: 70}, true); err != nil || day.Tokens != 70 {
		t.Errorf("%+v %v", day, err)
	}
}

// TestDayFile: what cannot be read, or is somebody else's to write, allows nothing.
func TestDayFile(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "garbage": "{", "another key": `{"agent":"/home/o/agent.yaml","provider":"anthropic","date":"2027-01-01","used":{},"x":1}`,
		"no date":      `{"agent":"/home/o/agent.yaml","provider":"anthropic","date":"soon","used":{}}`,
		"less":         `{"agent":"/home/o/agent.yaml","provider":"anthropic","date":"2027-01-01","used":{"tokens":-5}}`,
		"another's":    `{"agent":"/x","provider":"anthropic","date":"2027-01-01","used":{}}`,
		"a far future": `{"agent":"/home/o/agent.yaml","provider":"anthropic","date":"2999-01-01","used":{"tokens":95}}`} {
		dir := folder(t)
		a := account(t, dir, Limits{Day: model.Amount{Tokens: 100}}, nil)
		if err := os.WriteFile(filepath.Join(dir, a.day.name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reserve(1, tokens(10)); err == nil {
			t.Errorf("%s: reserved", name)
		}
	}
	dir := folder(t)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, "a", "b", Limits{Day: model.Amount{Tokens: 1}}); err == nil {
		t.Error("a folder that others can read")
	}
}

// TestNotKept: what cannot be put on the disk is not reserved.
func TestNotKept(t *testing.T) {
	dir := folder(t)
	a := account(t, dir, Limits{Run: model.Amount{Tokens: 100}, Day: model.Amount{Tokens: 100}}, nil)
	if err := os.Mkdir(filepath.Join(dir, a.day.name+".new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reserve(1, tokens(10)); err == nil || a.run.Tokens != 0 {
		t.Errorf("reserved: %v", err)
	}
}

// FuzzDay: whatever the file of a day holds, no more than the budget is reserved on top
// of it, in one piece or in several, and what was reserved is there for the next run.
func FuzzDay(f *testing.F) {
	f.Add([]byte(`{"agent":"/home/o/agent.yaml","provider":"anthropic","date":"2027-01-01","used":{"requests":1,"tokens":5,"micro_cents":7}}`), int64(60))
	f.Add([]byte(`{"agent":"/home/o/agent.yaml","provider":"anthropic","date":"2999-01-01","used":{"tokens":9223372036854775807}}`), int64(1))
	f.Fuzz(func(t *testing.T, b []byte, piece int64) {
		dir := folder(t)
		now := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
		a := account(t, dir, Limits{Day: model.Amount{Tokens: 100}}, &now)
		if err := os.WriteFile(filepath.Join(dir, a.day.name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reserve(1, tokens(101)); err == nil {
			t.Errorf("%q: more than the budget is reserved", b)
		}
		before, err := a.day.read()
		if err != nil {
			if _, err := a.Reserve(2, tokens(1)); err == nil {
				t.Errorf("%q: reserved on top of what cannot be read", b)
			}
			return
		}
		if before.Date < "2027-01-01" {
			before.Used = model.Amount{}
		}
		sum := before.Used.Tokens
		piece = max(10, min(piece, 100))
		for id := range uint64(12) {
			if _, err := a.Reserve(id+3, tokens(piece)); err == nil {
				sum += piece
			}
		}
		if sum > 100 && sum != before.Used.Tokens {
			t.Errorf("%q: %d tokens are used or reserved", b, sum)
		}
		if after, err := account(t, dir, a.limits, &now).day.read(); err != nil || sum != before.Used.Tokens && after.Used.Tokens != sum {
			t.Errorf("%q: the next run reads %+v of %d (%v)", b, after, sum, err)
		}
	})
}
