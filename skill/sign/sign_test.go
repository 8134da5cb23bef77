package sign

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"nacre/fault"
	"nacre/skill"
)

const digest = "sha256:7039ef2b94b1c69ce8a15cf490cfd3b75a5ee6d87d51b5a0f4227554238d019c"

func greet() *skill.Skill { return &skill.Skill{Front: skill.Front{Name: "greet"}, Digest: digest} }

func keys(t *testing.T) (public string, private []byte) {
	t.Helper()
	pub, private, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(pub), "\n")
	if err := CheckKey(lines[1]); err != nil {
		t.Fatal(err)
	}
	return lines[1], private
}

func TestSign(t *testing.T) {
	public, private := keys(t)
	other, _ := keys(t)
	signature, by, err := Sign(private, greet())
	if err != nil || by != public {
		t.Fatalf("%s, %v", by, err)
	}
	changed, renamed := greet(), greet()
	changed.Digest = strings.Replace(digest, "7", "8", 1)
	renamed.Name = "greeter"
	for name, c := range map[string]struct {
		keys      []string
		skill     *skill.Skill
		signature []byte
		kind      fault.Kind // Internal: accepted
		want      string
	}{
		"signed":            {[]string{public}, greet(), signature, fault.Internal, ""},
		"one of two":        {[]string{other, public}, greet(), signature, fault.Internal, ""},
		"nothing required":  {nil, greet(), nil, fault.Internal, ""},
		"by another":        {[]string{other}, greet(), signature, fault.Denied, "by a key that the policy lists"},
		"not signed":        {[]string{public}, greet(), nil, fault.Denied, "is not signed"},
		"changed since":     {[]string{public}, changed, signature, fault.Denied, "as it is"},
		"under a name":      {[]string{public}, renamed, signature, fault.Denied, "as it is"},
		"a broken one":      {[]string{public}, greet(), signature[:40], fault.Denied, "as it is"},
		"not a signature":   {[]string{public}, greet(), []byte("x"), fault.Denied, "as it is"},
		"a key that is not": {[]string{"RWnone"}, greet(), signature, fault.Denied, "as it is"},
		"comment changed":   {[]string{public}, greet(), bytes.Replace(signature, []byte("trusted comment: nacre"), []byte("trusted comment: other"), 1), fault.Denied, "as it is"},
	} {
		err := Required(c.keys, "policy", c.skill, c.signature)
		if c.kind == fault.Internal && err != nil || c.kind != fault.Internal && (fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnusableKeys(t *testing.T) {
	const protected = "untrusted comment: minisign encrypted secret key\nRWRTY0IyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, key := range []string{"", "no key", protected} {
		if _, _, err := Sign([]byte(key), greet()); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.20q: %v", key, err)
		}
	}
}

// signed is what a signature says: of all but the first line the bytes that it stands
// for, whose last letter has two bits to spare, or the text.
func signed(signature []byte) (lines []string) {
	all := strings.Split(strings.TrimRight(string(signature), "\r\n"), "\n")
	for _, line := range all[1:] {
		line = strings.TrimRight(line, "\r")
		if b, err := base64.StdEncoding.DecodeString(line); err == nil {
			line = string(b)
		}
		lines = append(lines, line)
	}
	return lines
}

// FuzzSkillSignature: what holds for a skill holds for no other, by no other key, and
// says what was signed, but for the untrusted comment.
func FuzzSkillSignature(f *testing.F) {
	pub, private, err := Generate()
	if err != nil {
		f.Fatal(err)
	}
	other, _, err := Generate()
	if err != nil {
		f.Fatal(err)
	}
	key, another := strings.Split(string(pub), "\n")[1], strings.Split(string(other), "\n")[1]
	good, _, err := Sign(private, greet())
	if err != nil {
		f.Fatal(err)
	}
	changed := func(at int, by string) []byte {
		lines := strings.SplitAfter(string(good), "\n")
		lines[at] = by
		return []byte(strings.Join(lines, ""))
	}
	f.Add(good, uint16(0), byte(0))
	f.Add(good, uint16(30), byte(1))
	f.Add(changed(0, "untrusted comment: of somebody else\n"), uint16(0), byte(0))
	f.Add(changed(2, "trusted comment: nacre skill other\n"), uint16(0), byte(0))
	f.Add([]byte("untrusted comment: x\n\ntrusted comment: y\n"), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, signature []byte, at uint16, flip byte) {
		if len(signature) == 0 { // of a key that every run makes anew, a change of the good one
			signature = good
		}
		signature = bytes.Clone(signature)
		signature[int(at)%len(signature)] ^= flip
		renamed, rebuilt := greet(), greet()
		renamed.Name, rebuilt.Digest = "other", strings.Replace(digest, "7", "8", 1)
		if By([]string{key}, renamed, signature)+By([]string{key}, rebuilt, signature)+By([]string{another}, greet(), signature)+By(nil, greet(), signature) != "" {
			t.Fatalf("%q holds for what was not signed", signature)
		}
		if By([]string{another, key}, greet(), signature) == "" {
			if bytes.Equal(signature, good) {
				t.Fatal("the good one does not hold")
			}
			return
		}
		if is, was := signed(signature), signed(good); !slices.Equal(is, was) {
			t.Fatalf("%q holds as %q does", signature, good)
		}
	})
}
