package doctor

import (
	"testing"

	"nacre"
	"nacre/sandbox/cgroup"
)

// TestLacksHaveRemedies: what is missing comes with what to do about it.
func TestLacksHaveRemedies(t *testing.T) {
	for _, c := range Checks("/nowhere/nacre") {
		if c.Name == "" || c.Found == "" || !c.OK && c.Remedy == "" {
			t.Errorf("%+v", c)
		}
	}
}

// TestLimitsAreAsTheEngineFindsThem: the check says what New would.
func TestLimitsAreAsTheEngineFindsThem(t *testing.T) {
	c, problem := limitsCheck(), cgroup.Detect().Problem()
	if c.OK != (problem == nil) || !c.OK && c.Tier != nacre.TierWatchdog {
		t.Errorf("%+v, where New says %v", c, problem)
	}
}
