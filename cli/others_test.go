package cli

import (
	"testing"

	"nacre/policy"
)

// TestOthers: every name but those is masked, and they never are.
func TestOthers(t *testing.T) {
	const folder = "/home/[a] b/homes"
	parents := []string{"home", "[a] b", "homes"}
	for _, but := range [][]string{{"one"}, {"a"}, {"a-b", "a"}, {"one", "onion", "two-2"}, {"04fa*", "04fb*"}, {"a", "b", "c"}} {
		b, err := policy.NewBlocked(others(folder, but))
		if err != nil {
			t.Fatal(err)
		}
		own := func(name string) bool {
			for _, n := range but {
				if name == n || n[len(n)-1] == '*' && len(name) >= len(n)-1 && name[:len(n)-1] == n[:len(n)-1] {
					return true
				}
			}
			return false
		}
		for _, name := range []string{"one", "on", "o", "ones", "one-", "-", "a", "a-", "a-b", "a-c", "ab", "b", "c", "onion", "onio", "two-2", "two-", "two", "04fa11", "04fa", "04fb2", "04f", "04fc", "new-04fa", "lock", ".x", "O_o", "é"} {
			if _, masked := b.MatchEntry(parents, name); masked == own(name) {
				t.Errorf("%q but %q: masked: %t", name, but, masked)
			}
			if _, masked := b.MatchEntry([]string{"elsewhere"}, name); masked {
				t.Errorf("%q is masked elsewhere too", name)
			}
		}
	}
	if b, err := policy.NewBlocked(others(folder, nil)); err != nil {
		t.Error(err)
	} else if _, masked := b.MatchEntry(parents[:2], "homes"); !masked {
		t.Error("the folder itself is not masked")
	}
}
