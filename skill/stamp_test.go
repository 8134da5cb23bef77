package skill

import (
	"strings"
	"testing"
)

// TestStamp: the digest is written where it belongs, nothing else changes, and what
// was stamped is read.
func TestStamp(t *testing.T) {
	line := "nacre-capabilities: \"" + digestOf([]byte(capabilities)) + "\"\n"
	for name, c := range map[string][2]string{
		"none":       {with(""), with("metadata:\n  " + line)},
		"others":     {with("metadata:\n    a: b\n    c: d\nlicense: x\n"), with("metadata:\n    " + line + "    a: b\n    c: d\nlicense: x\n")},
		"old":        {with("metadata:\n  a: b\n  nacre-capabilities: sha256:00\n"), with("metadata:\n  a: b\n  " + line)},
		"as it is":   {with("metadata: {nacre-capabilities: \"" + digestOf([]byte(capabilities)) + "\"}\n"), with("metadata: {nacre-capabilities: \"" + digestOf([]byte(capabilities)) + "\"}\n")},
		"with CRLF":  {strings.ReplaceAll(with("license: x\n"), "\n", "\r\n"), strings.ReplaceAll(with("license: x\nmetadata:\n  "+line), "\n", "\r\n")},
		"no place":   {with("metadata: {a: b}\n"), ""},
		"over lines": {with("metadata:\n  nacre-capabilities:\n    x\n"), ""},
		"no front":   {"# Greet\n", ""},
	} {
		got, err := Stamp([]byte(c[0]+"---\nbody\n"), []byte(capabilities))
		if want := c[1] + "---\nbody\n"; c[1] == "" && err == nil || c[1] != "" && string(got) != want {
			t.Errorf("%s: %v, %s", name, err, got)
		}
		if c[1] != "" {
			if _, err := Read(folder(Main, string(got), CapabilitiesFile, capabilities)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func FuzzStamp(f *testing.F) {
	for _, s := range []string{with(""), with("metadata:\n  a: b\n"), with("metadata: {}\n"), with("metadata:\n? a\n: b\n"), with("metadata:\n  nacre-capabilities: |\n    x\n")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, main string) {
		got, err := Stamp([]byte(main), []byte(capabilities))
		if err != nil {
			return
		}
		before, body, err := parseMain(Main, []byte(main))
		after, same, err2 := parseMain(Main, got)
		if err != nil || err2 != nil || body != same || before.Description != after.Description || before.License != after.License || len(after.Metadata) < len(before.Metadata) {
			t.Fatalf("%v %v: %q became %q", err, err2, main, got)
		}
		if again, err := Stamp(got, []byte(capabilities)); err != nil || string(again) != string(got) {
			t.Fatalf("%q is stamped again as %q: %v", got, again, err)
		}
	})
}
