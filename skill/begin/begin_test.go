package begin

import (
	"strings"
	"testing"
	"testing/fstest"

	"nacre/skill"
	"nacre/skill/check"
	"nacre/skill/part"
)

// TestBeginnings: of each kind there is one, it is what it says, nothing in it has to
// be accepted, and its SKILL.md names its capabilities.
func TestBeginnings(t *testing.T) {
	for _, kind := range Kinds() {
		files, err := Files(kind, "greet")
		if err != nil {
			t.Fatal(err)
		}
		folder := fstest.MapFS{}
		for _, f := range files {
			folder[f.Name] = &fstest.MapFile{Data: f.Text}
			if strings.Contains(string(f.Text), "{{") {
				t.Errorf("%s: %s: %s", kind, f.Name, f.Text)
			}
		}
		s, err := skill.Read(folder)
		if err != nil || s.Kind != skill.Kind(kind) || s.Name != "greet" || s.CapabilitiesDigest == "" || s.Metadata["nacre-capabilities"] != s.CapabilitiesDigest {
			t.Errorf("%s: %v, %+v", kind, err, s)
			continue
		}
		if _, err := part.Read(s, folder); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if list, err := check.Look(s, folder, nil, nil); err != nil || len(check.Kinds(list)) > 0 {
			t.Errorf("%s: %v, %+v", kind, err, list)
		}
	}
	if _, err := Files("tools", "greet"); err == nil {
		t.Error("a kind that there is not")
	}
}
