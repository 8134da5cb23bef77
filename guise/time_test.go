package guise

import "testing"

func TestReaches(t *testing.T) {
	for release, want := range map[string]bool{
		"6.1.0-50-cloud-amd64": false, "6.3": true, "6.2.16": false, "6.12.9+deb13-arm64": true,
		"5.15.0": false, "7.0-rc1": true, "6.x": false, "": false, "six": false,
	} {
		if got := reaches(release, 6, 3); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}
