package mountlist

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/policy"
)

const home = "/home/u"

func same(p string) string { return p }

func parse(t *testing.T, text string) *List {
	t.Helper()
	list, err := Parse("list.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// authority is what a translated policy decides by, for one agent.
func authority(t *testing.T, text, manifest string) *policy.Authority {
	t.Helper()
	p, err := policy.Parse("imported", []byte("version: 1\n"+text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	a, err := policy.New(policy.Owner{Home: home}, nacre.Subject{Path: manifest}, p, nil, policy.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestStrict(t *testing.T) {
	for text, want := range map[string]string{
		`{"allowedRoots":[],"blockedPatterns":[],"nonMainReadOnly":true}`:                                     "",
		"{\n\t\"allowedRoots\": [\t{\"path\": \"~/a\"}],\"blockedPatterns\":[],\"nonMainReadOnly\":true}":     "",
		`{"allowedRoots":[],"blockedPatterns":[]}`:                                                            `1:1: the key "nonMainReadOnly" is missing`,
		`{"allowedRoots":[],"nonMainReadOnly":true}`:                                                          `the key "blockedPatterns" is missing`,
		`{"allowedRoots":[],"AllowedRoots":[],"blockedPatterns":[],"nonMainReadOnly":true}`:                   "1:20: unknown key",
		`{"allowedRoots":[],"allowedRoots":[],"blockedPatterns":[],"nonMainReadOnly":true}`:                   "is there twice",
		`{"allowedRoots":[{"path":"/a","path":"/b"}],"blockedPatterns":[],"nonMainReadOnly":true}`:            "is there twice",
		`{"allowedRoots":[{"path":"/a","readonly":false}],"blockedPatterns":[],"nonMainReadOnly":true}`:       "unknown key",
		`{"allowedRoots":[{"path":"/a","allowReadWrite":"yes"}],"blockedPatterns":[],"nonMainReadOnly":true}`: "expected true or false",
		`{"allowedRoots":["/a"],"blockedPatterns":[],"nonMainReadOnly":true}`:                                 "expected keys and values",
		`{"allowedRoots":null,"blockedPatterns":[],"nonMainReadOnly":true}`:                                   "expected a list",
		`{"allowedRoots":[],"blockedPatterns":[7],"nonMainReadOnly":true}`:                                    "expected text",
		`{"allowedRoots":[],"blockedPatterns":[],"nonMainReadOnly":true} {}`:                                  "not valid JSON",
		"allowedRoots: []\nblockedPatterns: []\nnonMainReadOnly: true\n":                                      "not valid JSON",
		"{\"allowedRoots\":[],\"blockedPatterns\":[\"a\u2028b\"],\"nonMainReadOnly\":true}":                   "1:41: expected plain text",
		`{"allowedRoots":[],"blockedPatterns":[],"nonMainReadOnly":true}` + strings.Repeat(" ", 1<<20):        "larger than 1 MiB",
		strings.Repeat("[", 100_000): "not valid JSON",
	} {
		_, err := Parse("list.json", []byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}

func TestRootsThatDoNotCarryOver(t *testing.T) {
	for _, p := range []string{"relative", "", "~other/x", `/a\u0000b`} {
		list := parse(t, `{"allowedRoots":[{"path":"`+p+`"}],"blockedPatterns":[],"nonMainReadOnly":false}`)
		if text, _, err := list.Policy(Options{Home: home, Real: same}); err == nil {
			t.Errorf("%q became %s", p, text)
		}
	}
}

// TestNotes: each thing that differs is said, where it stands.
func TestNotes(t *testing.T) {
	list := parse(t, `{"allowedRoots":[
{"path":"~/p","allowReadWrite":false},
{"path":"~/p/x","allowReadWrite":true},
{"path":"/home/u/p","allowReadWrite":true},
{"path":"/link","allowReadWrite":true},
{"path":"/etc"},
{"path":"~/.config/nacre"},
{"path":"~/tokens/a"}
],
"blockedPatterns":["token",
"a//b"],
"nonMainReadOnly":true}`)
	real := func(p string) string { return strings.Replace(p, "/link", "/real", 1) }
	text, notes, err := list.Policy(Options{Home: home, Real: real, Policies: []string{home + "/.config/nacre/policy.yaml"}})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, n := range notes {
		said = append(said, n.At.String()+": "+n.Text)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{"list.json:10:20: blockedPatterns: the text \"token\"", "list.json:11:1: blockedPatterns: \"a//b\" is in no path",
		"list.json:3:1: allowedRoots: /home/u/p/x counts for nothing there", "list.json:4:1: allowedRoots: /home/u/p is there twice",
		"list.json:5:1: allowedRoots: /link leads through a symbolic link", "list.json:5:1: allowedRoots: /real is for the main group",
		"list.json:6:1: allowedRoots: /etc itself is granted to nobody", "list.json:7:1: allowedRoots: ~/.config/nacre itself is granted to nobody",
		"list.json:8:1: allowedRoots: ~/tokens/a itself is granted to nobody: the name is blocked"} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %q:\n%s", want, all)
		}
	}
	if strings.Contains(text, "write") {
		t.Errorf("something may be written:\n%s", text)
	}
}

func TestMainAgent(t *testing.T) {
	list := parse(t, `{"allowedRoots":[{"path":"~/p","allowReadWrite":true},{"path":"~/q"}],"blockedPatterns":[],"nonMainReadOnly":true}`)
	text, _, err := list.Policy(Options{Home: home, Real: same, Main: "/m/agent.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		manifest, path string
		access         nacre.Access
		want           nacre.Effect
	}{
		{"/m/agent.yaml", home + "/p", nacre.Write, nacre.Allow}, {"/m/agent.yaml", home + "/q", nacre.Write, nacre.Deny},
		{"/other/agent.yaml", home + "/p", nacre.Write, nacre.Deny}, {"/other/agent.yaml", home + "/p", nacre.Read, nacre.Allow},
		{"", home + "/p", nacre.Write, nacre.Deny},
	} {
		if d := authority(t, text, c.manifest).Files(c.path, c.access); d.Effect != c.want {
			t.Errorf("%+v: %v %s", c, d.Effect, d.Reason)
		}
	}
}

// TestBlocksEverything: an empty text is in every path.
func TestBlocksEverything(t *testing.T) {
	for _, p := range []string{"", "/"} {
		list := parse(t, `{"allowedRoots":[{"path":"~/p"}],"blockedPatterns":["`+p+`"],"nonMainReadOnly":false}`)
		if text, notes, err := list.Policy(Options{Home: home, Real: same}); err != nil || text != "" || len(notes) == 0 {
			t.Errorf("%q: %q, %v, %v", p, text, notes, err)
		}
	}
}

// theirs is what NanoClaw answers for a group that is not the main one: the
// first root around the path, after the texts.
func (l *List) theirs(p string, write bool) bool {
	for _, text := range slices.Concat(Always(), patterns(l)) {
		if strings.Contains(p, text) {
			return false
		}
	}
	for _, r := range l.Roots {
		full, _ := policy.Resolve(r.Path, "", home, r.Origin)
		if policy.Within(full, p) {
			return !write || r.Write && !l.NonMainReadOnly
		}
	}
	return false
}

func patterns(l *List) (texts []string) {
	for _, p := range l.Patterns {
		texts = append(texts, p.Value)
	}
	return texts
}

// stricter asks both about many paths: what the policy allows, the list does.
func stricter(t *testing.T, l *List, text string, places []string) (allowed int) {
	t.Helper()
	a := authority(t, text, "")
	for _, p := range places {
		for _, access := range []nacre.Access{nacre.Read, nacre.Write} {
			if a.Files(p, access).Effect != nacre.Allow {
				continue
			}
			if allowed++; !l.theirs(p, access == nacre.Write) {
				t.Fatalf("%s %v is allowed, and was not before:\n%s", p, access, text)
			}
		}
	}
	return allowed
}

func TestNothingMoreIsAllowed(t *testing.T) {
	places := []string{"/a", "/a/b", "/a/b/c", "/a/bb/c", "/b", "/ab/cd", home, home + "/p", home + "/p/token", home + "/p/xtokenx/y",
		home + "/p/.environment", home + "/p/my-credentials.d/x", home + "/p/.ssh2", home + "/p/q", home + "/p/q/r"}
	allowed := 0
	for _, roots := range []string{`{"path":"/"}`, `{"path":"/a","allowReadWrite":true},{"path":"/a/b"}`, `{"path":"/a"},{"path":"/a/b","allowReadWrite":true}`,
		`{"path":"/a/b"},{"path":"/a","allowReadWrite":true}`, `{"path":"~/p","allowReadWrite":true},{"path":"~/p"},{"path":"~/p/q"}`, `{"path":"~","allowReadWrite":true}`} {
		for _, texts := range []string{``, `"token"`, `"/b"`, `"a/"`, `"a/b"`, `"*","["`, `"b/c","?"`, `".","..","/./"`} {
			for _, main := range []string{"true", "false"} {
				l := parse(t, `{"allowedRoots":[`+roots+`],"blockedPatterns":[`+texts+`],"nonMainReadOnly":`+main+`}`)
				text, _, err := l.Policy(Options{Home: home, Real: same})
				if err != nil {
					t.Fatal(err)
				}
				allowed += stricter(t, l, text, places)
			}
		}
	}
	if allowed < 100 { // with the same meaning much is allowed
		t.Errorf("only %d answers allow anything", allowed)
	}
}

// FuzzParse: what is accepted is what any JSON decoder reads, and its policy
// parses and allows nothing more.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"allowedRoots":[{"path":"~/projects","allowReadWrite":true,"description":"dev"}],"blockedPatterns":["token"],"nonMainReadOnly":true}`))
	f.Add([]byte(`{"allowedRoots":[{"path":"/a\/b"},{"path":"/"}],"blockedPatterns":["/","é\u0041[*"],"nonMainReadOnly":false}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse("list.json", data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		var plain struct {
			AllowedRoots []struct {
				Path, Description string
				AllowReadWrite    bool
			}
			BlockedPatterns []string
			NonMainReadOnly bool
		}
		if err := json.Unmarshal(data, &plain); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(plain.BlockedPatterns, patterns(l)) || plain.NonMainReadOnly != l.NonMainReadOnly || len(plain.AllowedRoots) != len(l.Roots) {
			t.Fatalf("%+v, and as JSON %+v", l, plain)
		}
		places := []string{"/a", "/a/b", home + "/p"}
		for i, r := range plain.AllowedRoots {
			if has := l.Roots[i]; r.Path != has.Path || r.Description != has.Description || r.AllowReadWrite != has.Write {
				t.Fatalf("%+v, and as JSON %+v", has, r)
			}
			full, _ := policy.Resolve(r.Path, "", home, nacre.Origin{})
			for _, text := range plain.BlockedPatterns {
				places = append(places, full, path.Join(full, "x"+text+"y"))
			}
		}
		text, _, err := l.Policy(Options{Home: home, Real: same})
		if err != nil || text == "" {
			return
		}
		places = slices.DeleteFunc(places, func(p string) bool { return !path.IsAbs(p) })
		stricter(t, l, text, places)
	})
}
