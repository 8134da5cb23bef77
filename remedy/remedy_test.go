package remedy

import (
	"strings"
	"testing"

	"nacre"
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
	err = strict.Decode("f", []byte(s), &v)
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
