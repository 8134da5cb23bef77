package agents

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"nacre/test/fakemodel/outside"
)

// newWorld is all that a gateway can reach, in a test.
func newWorld(t *testing.T, model http.Handler) *outside.World {
	t.Helper()
	w, err := outside.New(model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// stayedInside reports whoever wanted something else of the world.
func (r *run) stayedInside() {
	r.t.Helper()
	if s := r.world.Strangers(); s != nil {
		r.t.Errorf("somebody got out as far as the proxy: %q", s)
	}
}

// refused are the destinations that the record says were denied.
func refused(t *testing.T, record string) (list []string) {
	t.Helper()
	for line := range strings.Lines(record) {
		var e struct {
			Decision string            `json:"decision"`
			Detail   map[string]string `json:"detail"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if to := e.Detail["to"]; e.Decision == "deny" && to != "" && !slices.Contains(list, to) {
			list = append(list, to)
		}
	}
	return list
}
