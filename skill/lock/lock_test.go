package lock

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"nacre/fault"
	"nacre/skill"
)

const digest = "sha256:7039ef2b94b1c69ce8a15cf490cfd3b75a5ee6d87d51b5a0f4227554238d019c"

func TestFormat(t *testing.T) {
	var f File
	f.Put(Entry{Name: "greet", Kind: skill.Knowledge, Source: "folder:/home/u/a: b # c", Digest: digest, Accepted: []string{"injection", "program"}})
	f.Put(Entry{Name: "data", Kind: skill.Tool, Source: "git+https://example.com/x.git", Revision: "abc", Digest: digest, Capabilities: digest})
	f.Put(Entry{Name: "greet", Kind: skill.Knowledge, Source: "archive:/home/u/\u202ex\n.zip", Digest: digest})
	text, err := f.Format()
	if err != nil {
		t.Fatal(err)
	}
	const want = `# Skills, each pinned by the digest of its folder. nacre skill writes this.
version: 1
skills:
  - name: data
    kind: tool
    source: "git+https://example.com/x.git"
    revision: abc
    digest: "` + digest + `"
    capabilities: "` + digest + `"
  - name: greet
    kind: knowledge
    source: "archive:/home/u/\u202ex\n.zip"
    digest: "` + digest + "\"\n"
	if string(text) != want {
		t.Errorf("%s", text)
	}
	again, err := Parse(Name, text)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := again.Format(); err != nil || !bytes.Equal(second, text) {
		t.Errorf("%s, %v", second, err)
	}
	if e := again.Find("data"); e == nil || e.Revision != "abc" {
		t.Errorf("%+v", e)
	}
	if _, err := again.Need("dta"); fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.HintOf(err), "data, greet") {
		t.Errorf("%v", err)
	}
	if !again.Remove("data") || again.Remove("data") || again.Find("data") != nil {
		t.Error("removing")
	}
	var none *File
	if none.Find("x") != nil {
		t.Error("no file has an entry")
	}
}

func TestParseRefuses(t *testing.T) {
	entry := func(more string) string {
		return "version: 1\nskills:\n- {name: a, kind: knowledge, source: s, digest: \"" + digest + "\"" + more + "}\n"
	}
	if _, err := Parse(Name, []byte(entry(""))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", "empty"},
		"version":      {"version: 2", "version of this grammar"},
		"unknown":      {entry(", trusted: true"), "unknown key"},
		"twice":        {entry("") + "- {name: a, kind: tool, source: s, digest: \"" + digest + "\"}\n", "there twice"},
		"kind":         {strings.Replace(entry(""), "knowledge", "core", 1), "expected one of knowledge"},
		"name":         {strings.Replace(entry(""), "name: a", "name: ../a", 1), "lower-case"},
		"no digest":    {"version: 1\nskills: [{name: a, kind: tool, source: s}]", `"digest" is missing`},
		"short digest": {"version: 1\nskills: [{name: a, kind: tool, source: s, digest: \"sha256:00\"}]", "expected of its whole folder"},
		"capabilities": {entry(", capabilities: none"), "expected of its capabilities.yaml"},
	} {
		if _, err := Parse(Name, []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// FuzzLock: whatever an entry says, what is written of it reads the same; and of whatever
// a file says, what was taken is written in one way only, which says it again.
func FuzzLock(f *testing.F) {
	f.Add("greet", "folder:/x", digest, "", []byte("version: 1\n"))
	f.Add("a", "\"'\n: #", digest, "rev: x", []byte("version: 1\nskills: [{name: a, kind: tool, source: s, digest: \""+digest+"\", accepted: [x]}]"))
	f.Fuzz(func(t *testing.T, name, source, sum, revision string, file []byte) {
		var l File
		l.Put(Entry{Name: name, Kind: skill.Knowledge, Source: source, Revision: revision, Digest: sum})
		if text, err := l.Format(); err == nil {
			again, err := Parse(Name, text)
			if err != nil || again.Find(name) == nil || again.Find(name).Source != source || again.Find(name).Revision != revision {
				t.Fatalf("%s: %v", text, err)
			}
		}
		taken, err := Parse(Name, file)
		if err != nil {
			return
		}
		first, err := taken.Format()
		if err != nil {
			t.Fatalf("%q is read and cannot be written: %v", file, err)
		}
		again, err := Parse(Name, first)
		if err != nil || len(again.Skills) != len(taken.Skills) {
			t.Fatalf("%q became %s: %v", file, first, err)
		}
		for _, e := range taken.Skills {
			got, err := again.Need(e.Name)
			if err != nil {
				t.Fatal(err)
			}
			if is := *got; is.Kind != e.Kind || is.Source != e.Source || is.Revision != e.Revision || is.Path != e.Path || is.Digest != e.Digest ||
				is.Capabilities != e.Capabilities || !slices.Equal(is.Accepted, e.Accepted) {
				t.Fatalf("%+v became %+v", e, is)
			}
		}
	})
}
