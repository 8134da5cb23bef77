package cgroup

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/cgroups"
)

// planned starts a maker and reads what it is going to make.
func planned(t *testing.T, kill string) (child, State) {
	t.Helper()
	c := start(t, "maker", nil, "NACRE_CGROUP_TEST_ID="+newID(), "NACRE_CGROUP_TEST_KILL="+kill)
	c.release()
	var s State
	if err := json.Unmarshal([]byte(c.line()), &s); err != nil || len(s.Folders) == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	return c, s
}

// there are the folders of a state that exist, its scope among them.
func (s State) there() (out []string) {
	for _, f := range s.Folders {
		for _, d := range []string{filepath.Dir(f), f, filepath.Join(f, agent), filepath.Join(f, supervisor)} {
			if outside(d) != d && cgroups.PathExists(d) {
				out = append(out, d)
			}
		}
	}
	return out
}

func TestPlannedIsWhatIsMade(t *testing.T) {
	g := group(t, small)
	if got, want := Planned(g.state.ID), g.state; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("planned %v, made %v", got, want)
	}
}

// A process killed at any point inside New leaves nothing that its planned
// state, stored before, does not remove.
func TestKilledInsideNewIsSwept(t *testing.T) {
	need(t)
	took := time.Hour
	for range 3 { // the quickest, so that most rounds end inside it
		c, s := planned(t, "")
		d, err := time.ParseDuration(c.line())
		if err != nil {
			t.Fatal(err)
		}
		c.Process.Kill()
		c.Wait()
		sweep(t, s)
		took = min(took, d)
	}
	rounds, parts := 0, map[int]int{}                                                          // how much was there, in how many rounds
	for end := time.Now().Add(time.Minute); rounds < 100 && time.Now().Before(end); rounds++ { // an emulated machine is slow
		c, s := planned(t, rand.N(took).String())
		c.Wait()
		parts[sweep(t, s)]++
	}
	t.Logf("New took %v; %d rounds; folders left: rounds: %v", took, rounds, parts)
}

// sweep removes what a maker left and returns how much that was.
func sweep(t *testing.T, s State) int {
	t.Helper()
	left := len(s.there())
	if err := Remove(s); err != nil {
		t.Fatal(err)
	}
	within(t, fmt.Sprint(s.there(), " to go"), func() bool { return len(s.there()) == 0 })
	if err := Remove(s); err != nil {
		t.Errorf("a second time: %v", err)
	}
	return left
}
