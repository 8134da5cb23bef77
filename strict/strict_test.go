package strict_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/remedy"
	"nacre/strict"
)

type pair struct {
	Key    string `yaml:"key,scalar,required" match:"^[a-z~ ]+$" about:"lower-case letters"`
	Value  int    `yaml:"value"`
	Origin nacre.Origin
}

type shared struct {
	Tags []strict.Text `yaml:"tags"`
}

type sample struct {
	Version int             `yaml:"version,required" about:"the version"`
	Name    string          `yaml:"name"`
	On      bool            `yaml:"switch"`
	Count   int64           `yaml:"count"`
	Pairs   []pair          `yaml:"pairs"`
	Vars    map[string]pair `yaml:"vars"`
	Access  nacre.Access    `yaml:"access" oneof:"read write"`
	Banned  string          `yaml:"banned" refused:"it is dangerous"`
	Words   []string        `yaml:"words,some"`
	shared0
	Origin nacre.Origin
}

type shared0 = Shared

// Shared is embedded, and so exported.
type Shared shared

func (p *pair) Check() error {
	if p.Value > 9 {
		return fault.New(fault.Invalid, "%s: the value is too large", p.Origin)
	}
	if p.Value == 0 {
		p.Value = 1 // the default
	}
	return nil
}

func decode(s string) (sample, error) {
	var v sample
	got, err := strict.Decode("f.yaml", []byte(s), &v)
	if err != nil && got != nil || err == nil && got != &v {
		return v, fmt.Errorf("%v with %v", got, err)
	}
	return v, err
}

func TestDecode(t *testing.T) {
	const text = "version: 1\nname: a b\nswitch: true\ncount: -5\naccess: write\npairs: [x, {key: y, value: 2}]\nvars:\n  A: z\ntags:\n  - one\n"
	at := func(line, column int) nacre.Origin { return nacre.Origin{File: "f.yaml", Line: line, Column: column} }
	want := sample{Version: 1, Name: "a b", On: true, Count: -5, Access: nacre.Write, Origin: at(1, 1),
		Pairs: []pair{{"x", 1, at(6, 9)}, {"y", 2, at(6, 12)}}, Vars: map[string]pair{"A": {"z", 1, at(8, 6)}},
		shared0: shared0{Tags: []strict.Text{{"one", at(10, 5)}}}}
	for name, s := range map[string]string{
		"plain": text, "BOM": "\ufeff" + text, "CRLF": strings.ReplaceAll(text, "\n", "\r\n"), "document start": "---\n" + text,
	} {
		got, err := decode(s)
		if name == "document start" {
			if err != nil || got.Origin.Line != 2 {
				t.Errorf("%s: %+v, %v", name, got.Origin, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", name, got, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, text, where, what, hint string }{
		{"empty", "", "1:1", "empty", ""},
		{"only a comment", "# nothing\n", "1:1", "empty", ""},
		{"unknown key", "version: 1\nnmae: x\n", "2:1", `unknown key: "nmae"`, `did you mean "name"?`},
		{"unknown, not near", "version: 1\nzzzzzzzz: x\n", "2:1", "unknown key", "the keys here are version, name"},
		{"near does not offer a refused key", "version: 1\nbannd: x\n", "2:1", "unknown key", "the keys here"},
		{"key in another case", "Version: 1\n", "1:1", "unknown key", `did you mean "version"?`},
		{"duplicate key", "version: 1\nname: a\nname: b\n", "3:1", "twice; first on line 2", ""},
		{"duplicate in a map", "version: 1\nvars: {A: x, A: y}\n", "2:14", "twice", ""},
		{"missing", "name: a\n", "1:1", `"version" is missing`, ""},
		{"missing below", "version: 1\npairs: [{value: 1}]\n", "2:9", `"key" is missing`, ""},
		{"refused key", "version: 1\nbanned: x\n", "2:1", "it is dangerous", ""},
		{"number for text", "version: 1\nname: 5\n", "2:7", "expected text, found the number 5", `put it in quotes: "5"`},
		{"bool for text", "version: 1\nname: true\n", "2:7", "expected text, found the word true", "quotes"},
		{"text for number", "version: one\n", "1:10", `expected a whole number, found the text "one"`, ""},
		{"fraction", "version: 1.5\n", "1:10", "expected a whole number", ""},
		{"hexadecimal", "version: 0x1\n", "1:10", "expected a whole number", ""},
		{"too large", "version: 99999999999999999999\n", "1:10", "expected a whole number", ""},
		{"text for bool", "version: 1\nswitch: yes\n", "2:9", "true or false", ""},
		{"null", "version: 1\nname:\n", "2:6", "nothing (null)", ""},
		{"null list", "version: 1\npairs:\n", "2:7", "expected a list", "[]"},
		{"bare home", "version: 1\npairs: [~]\n", "2:9", "null", `write "~" in quotes`},
		{"null access", "version: 1\naccess: null\n", "2:9", "expected a value", ""},
		{"text for list", "version: 1\npairs: x\n", "2:8", "expected a list", ""},
		{"list for text", "version: 1\nname: [x]\n", "2:7", "expected text, found a list", ""},
		{"map for text", "version: 1\ntags: [{a: b}]\n", "2:8", "expected text, found keys", ""},
		{"list for struct", "version: 1\npairs: [[x]]\n", "2:9", "expected keys and values", ""},
		{"list for access", "version: 1\naccess: [read]\n", "2:9", "expected a value", ""},
		{"list at the top", "- a\n", "1:1", "expected keys and values", ""},
		{"not one of", "version: 1\naccess: none\n", "2:9", "expected one of read, write", ""},
		{"not an access", "version: 1\naccess: rwx\n", "2:9", `not "rwx"`, ""},
		{"wrong form", "version: 1\npairs: [UPPER]\n", "2:9", "expected lower-case letters", ""},
		{"empty list", "version: 1\nwords: []\n", "2:8", "words is empty", ""},
		{"refused by its check", "version: 1\npairs: [{key: a, value: 10}]\n", "2:9", "too large", ""},
		{"refused by its check, in a map", "version: 1\nvars: {A: {key: a, value: 10}}\n", "2:11", "too large", ""},
		{"anchor", "version: &a 1\n", "1:10", "anchors and aliases", ""},
		{"alias", "version: 1\nname: &x a\nvars: *x\n", "2:7", "anchors and aliases", ""},
		{"alias to itself", "&a [*a]\n", "1:1", "anchors", ""},
		{"alias bomb", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "1:4", "anchors", ""},
		{"merge", "version: 1\nvars:\n  <<: {A: x}\n", "3:3", "merge", ""},
		{"custom tag", "version: 1\nname: !evil x\n", "2:7", "tags are refused", ""},
		{"standard tag", "version: 1\nname: !!str 5\n", "2:7", "tags are refused", ""},
		{"binary tag", "version: 1\nname: !!binary aGk=\n", "2:7", "tags are refused", ""},
		{"two documents", "version: 1\n---\nversion: 2\n", "2:1", "second document", ""},
		{"number as key", "version: 1\nvars: {1: x}\n", "2:8", "expected a key that is text", ""},
		{"null as key", "version: 1\nvars: {null: x}\n", "2:8", "expected a key that is text", ""},
		{"list as key", "version: 1\n? [a]\n: x\n", "2:3", "expected a key that is text", ""},
		{"NUL", "version: 1\nname: a\x00b\n", "2:8", "binary byte (0x00)", ""},
		{"not UTF-8", "version: 1\nname: \xff\n", "2:7", "binary byte (0xff)", ""},
		{"UTF-16", "\xff\xfev\x00", "1:1", "binary byte (0xff)", ""},
		{"control", "version: 1\nname: \x1b[2J\n", "1:1", "control characters", ""},
		{"tab", "version: 1\nvars:\n\tA: x\n", "3:1", "not valid YAML", "spaces, not tabs"},
		{"syntax", "version: [1\n", "1:1", "not valid YAML", ""},
		{"too large", strings.Repeat("#", strict.MaxBytes+1), "1:1", "larger than 1 MiB", ""},
		{"deep", "version: 1\nvars: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "2:39", "deeper than 32", ""},
		{"very deep", strings.Repeat("[", 20000), "1:1", "max depth", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode(c.text)
			if err == nil {
				t.Fatal("no fault")
			}
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("kind %v", fault.KindOf(err))
			}
			if !strings.HasPrefix(err.Error(), "f.yaml:"+c.where+": ") || !strings.Contains(err.Error(), c.what) {
				t.Errorf("got %q, want it at %s with %q", err, c.where, c.what)
			}
			if hint := fault.HintOf(remedy.Hint(err)); !strings.Contains(hint, c.hint) {
				t.Errorf("hint %q, want %q", hint, c.hint)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"version: 1\nname: x\n", "&a [*a]", "version: 1\npairs: [{key: x, value: 1}]", "? [a]\n: b", "\ufeffversion: 1\r\n",
		"a: !!map {<<: *b}", "- - - -", "version: 1\n...\n---\n", "{{{{", "\"\\x", "%YAML 1.2\n---\nversion: 1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v sample
		_, err := strict.Decode("f", data, &v)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("not a proper fault: %v", err)
			}
			return
		}
		again, err := decode(remedy.Flow(v))
		if err != nil {
			t.Fatalf("%s: %v", remedy.Flow(v), err)
		}
		if remedy.Flow(again) != remedy.Flow(v) || fmt.Sprint(again.Version) != fmt.Sprint(v.Version) {
			t.Fatalf("%s\n%s", remedy.Flow(v), remedy.Flow(again))
		}
	})
}
