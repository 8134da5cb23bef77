package posture

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/sandbox"
)

// TestShared: a mount with a peer group outside is seen.
func TestShared(t *testing.T) {
	for optional, want := range map[string]bool{
		"": false, "unbindable ": false, "shared:1 ": true, "master:7 ": true, "shared:3 master:7 ": true,
	} {
		file := filepath.Join(t.TempDir(), "mountinfo")
		line := "36 35 98:0 / /work rw,nosuid " + optional + "- ext4 /dev/vda rw\n"
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := sandbox.Mounts(file)
		if err != nil || len(list) != 1 || list[0].Shared != want {
			t.Errorf("%q: %+v, %v", strings.TrimSpace(optional), list, err)
		}
	}
}
