package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUnscope: a scope of the sandbox's own goes, also one that systemd knows
// nothing of; that of a session, in which a group may lie, is let alone.
func TestUnscope(t *testing.T) {
	base := t.TempDir()
	own, session := filepath.Join(base, "nacre-x.scope"), filepath.Join(base, "session-5.scope")
	for _, dir := range []string{own, session} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := State{ID: "x", Folders: []string{filepath.Join(session, "nacre-x"), filepath.Join(own, "nacre-x")}}
	if err := s.unscope(0); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(own); err == nil {
		t.Error("its own scope is left")
	}
	if _, err := os.Lstat(session); err != nil {
		t.Error("the session's scope is gone")
	}
}
