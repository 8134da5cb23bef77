package launch

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/fault"
)

// TestDynamicGateway: a gateway that was linked dynamically is refused, and it is said
// why; no other program counts as such.
func TestDynamicGateway(t *testing.T) {
	const dynamic = "/usr/bin/env"
	if !interpreted(dynamic) {
		t.Skip("needs an env that is linked dynamically")
	}
	for _, program := range []string{filepath.Join(bin, "nacre-gateway"), "loader_test.go", "/dev/null", "/nonexistent"} {
		if interpreted(program) {
			t.Errorf("%s counts as linked dynamically", program)
		}
	}
	w := newWorld(t)
	if slices.Contains(w.plan.Accepted, nacre.TierNoLandlock) {
		t.Skip("needs Landlock")
	}
	w.grant("api.test", listen(t), nil)
	w.launcher.Program = dynamic
	w.plan.Command = []string{"true"}
	w.plan.Digest = compile.Digest(w.plan)
	_, err := w.engine.Start(context.Background(), w.plan, nacre.Streams{})
	if err == nil || !strings.Contains(err.Error(), "env is linked dynamically") || !strings.Contains(fault.HintOf(err), "CGO_ENABLED=0") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
