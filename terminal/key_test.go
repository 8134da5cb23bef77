package terminal

import (
	"testing"
	"time"
)

func TestKillKey(t *testing.T) {
	const k = "\x1d"
	type press struct {
		after time.Duration
		keys  string
	}
	for name, c := range map[string]struct {
		presses []press
		pass    string
		kills   int
	}{
		"three at once":        {[]press{{0, k + k + k}}, k + k, 1},
		"three within":         {[]press{{0, k}, {500 * time.Millisecond, k}, {500 * time.Millisecond, k}}, k + k, 1},
		"too slow":             {[]press{{0, k}, {600 * time.Millisecond, k}, {600 * time.Millisecond, k}}, k + k + k, 0},
		"the last three count": {[]press{{0, k}, {time.Minute, k}, {100 * time.Millisecond, k}, {100 * time.Millisecond, k}}, k + k + k, 1},
		"another in between":   {[]press{{0, k + k + "a" + k}}, k + k + "a" + k, 0},
		"what follows passes":  {[]press{{0, "a" + k + k + k + "b"}}, "a" + k + k + "b", 1},
		"six":                  {[]press{{0, k + k + k + k + k + k}}, k + k + k + k, 2},
	} {
		var watch killKey
		now, pass, kills := time.Unix(1000, 0), "", 0
		for _, p := range c.presses {
			now = now.Add(p.after)
			keys, kill := watch.scan([]byte(p.keys), now)
			pass += string(keys)
			if kill {
				kills++
			}
		}
		if want := min(c.kills, len(c.presses)); pass != c.pass || kills != want {
			t.Errorf("%s: passes %q with %d kills, want %q with %d", name, pass, kills, c.pass, want)
		}
	}
}
