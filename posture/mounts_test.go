package posture

import (
	"strings"
	"testing"
)

func TestShared(t *testing.T) {
	for line, want := range map[string]bool{
		"- tmpfs none rw":                   false,
		"unbindable - ext4 /dev/vda rw":     false,
		"shared:1 - ext4 /dev/vda rw":       true,
		"master:7 - ext4 /dev/vda rw":       true,
		"shared:3 master:7 - ext4 /dev/vda": true,
		"":                                  true,
	} {
		if got := shared(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
