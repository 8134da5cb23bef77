package remedy

import (
	"strings"
	"testing"

	"nacre"
	"nacre/policy"
	"nacre/strict"
)

type pair struct {
	Key   string `yaml:"key,scalar"`
	Value int    `yaml:"value"`
}

type sample struct {
	Name   string          `yaml:"name"`
	Count  int64           `yaml:"count"`
	Vars   map[string]pair `yaml:"vars"`
	Access nacre.Access    `yaml:"access"`
	Tags   []strict.Text   `yaml:"tags"`
}

func decode(s string) (v sample, err error) {
	_, err = strict.Decode("f", []byte(s), &v)
	return v, err
}

func TestNear(t *testing.T) {
	names := []string{"files", "tools", "models", "on"}
	for s, want := range map[string]string{"file": "files", "fiels": "files", "toosl": "tools", "mdls": "models", "xy": "", "network": "", "": ""} {
		if got := Near(s, names); got != want {
			t.Errorf("Near(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestFlow(t *testing.T) {
	for _, name := range []string{"plain", "true", "~", "~/x", "a: b", "*", "&a", "#x", " lead", "", "1", "é", "\x7f", "\n\t\"\\", "[x]", "null", "x,y", "😀", "\u0085", "\ufeff"} {
		v := sample{Name: name, Count: 3, Access: nacre.Write, Vars: map[string]pair{"k" + name: {Key: "a"}}, Tags: []strict.Text{{Value: name}}}
		line := Flow(v)
		got, err := decode(line)
		if err != nil {
			t.Errorf("%q: %s: %v", name, line, err)
			continue
		}
		if strings.Contains(line, "\n") || got.Name != name || got.Tags[0].Value != name || got.Vars["k"+name].Key != "a" || got.Count != 3 || got.Access != nacre.Write {
			t.Errorf("%q: %s: %+v", name, line, got)
		}
	}
}

func FuzzFlow(f *testing.F) {
	f.Add("a: b", int64(1))
	f.Add("yes", int64(-1))
	f.Fuzz(func(t *testing.T, name string, count int64) {
		v := sample{Name: name, Count: count, Vars: map[string]pair{name: {name, int(count)}}, Tags: []strict.Text{{Value: name}}}
		line := Flow(v)
		got, err := decode(line)
		if err != nil { // what no file can hold is refused, not changed
			return
		}
		if Flow(got) != line {
			t.Fatalf("%s\n%s", line, Flow(got))
		}
	})
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		d     nacre.Decision
		asked any
		want  string
	}{
		{nacre.Decision{Capability: nacre.CapFiles, Subject: "/a b read", Rule: "policy.default"}, policy.Root{Path: "/a b", Access: nacre.Read}, `files: {roots: [{path: "/a b", access: read}]}`},
		{nacre.Decision{Capability: nacre.CapFiles, Subject: "/a\xb4 read", Rule: "policy.default"}, policy.Root{Path: "/a\xb4", Access: nacre.Read}, ""},
		{nacre.Decision{Capability: nacre.CapFiles, Subject: "preset go", Rule: "policy.default"}, strict.Text{Value: "go"}, "files: {presets: [go]}"},
		{nacre.Decision{Capability: nacre.CapFiles, Subject: "/x/.env read", Rule: "blocked..env"}, nil, `files: {unblocked: [".env"]}`},
		{nacre.Decision{Capability: nacre.CapFiles, Subject: "/x/y read", Rule: "blocked./x/y"}, nil, ""},
		{nacre.Decision{Capability: nacre.CapFiles, Subject: "/ read", Rule: "reserved"}, nil, ""},
		{nacre.Decision{Capability: nacre.CapImage, Subject: "directory:/x", Rule: "ceiling.default"}, nil, `images: ["directory:/x"] # in the administrator's ceiling`},
		{nacre.Decision{Capability: nacre.CapLimits, Subject: "memory 3GiB", Rule: "policy.limits.memory"}, nil, "limits: {memory: 3GiB}"},
		{nacre.Decision{Capability: "accept", Subject: "no-landlock", Rule: "ceiling.default"}, nil, "accept: [no-landlock] # in the administrator's ceiling"},
		{nacre.Decision{Capability: nacre.CapSecrets, Subject: "s", Rule: "policy.deny.secrets.1"}, nil, ""},
		{nacre.Decision{Capability: nacre.CapSecrets, Subject: "s", Effect: nacre.Allow}, nil, ""},
	} {
		if got := Line(c.d, c.asked); got != c.want {
			t.Errorf("%v: %s, want %s", c.d, got, c.want)
		}
	}
}
