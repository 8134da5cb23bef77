package build

import (
	"testing"

	"nacre/sandbox/layer"
)

// TestRights: no entry's rights are more than what is handled: the kernel would refuse the rule.
func TestRights(t *testing.T) {
	if (change|device)&^layer.Handled(7).Handled_access_fs != 0 {
		t.Error("rules would allow what is not handled")
	}
}
