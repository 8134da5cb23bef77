package attack

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestTemplate(t *testing.T) {
	relative, err := filepath.Abs("./x")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want []string // nil: an error
	}{
		{"{}", []string{"/p", "--config", "@a b"}},
		{"bwrap --bind {dir} {dir} {}", []string{"bwrap", "--bind", "/g g", "/g g", "/p", "--config", "@a b"}},
		{`nacre run --files {dir}:write -- {}`, []string{"nacre", "run", "--files", "/g g:write", "--", "/p", "--config", "@a b"}},
		{`env 'A=1 2' "B=\"x\"" c\ d '' {}`, []string{"env", "A=1 2", `B="x"`, "c d", "", "/p", "--config", "@a b"}},
		{"./x {}", []string{relative, "/p", "--config", "@a b"}},
		{"", nil}, {"bwrap", nil}, {"sh -c '{} x'", nil}, {"a {} {}", nil}, {"{} b", nil}, {"a 'b {}", nil}, {`a {} \`, nil},
	} {
		command, err := Template(c.text)
		if (err != nil) != (c.want == nil) {
			t.Errorf("%q: error %v", c.text, err)
			continue
		}
		if c.want == nil {
			continue
		}
		if got := command([]string{"/p", "--config", "@a b"}, "/g g"); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
}
