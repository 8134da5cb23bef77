package gateway

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

const (
	oldID = "0000000000000000000000000000000000000000"
	newID = "1111111111111111111111111111111111111111"
)

func line(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func TestPushed(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		refs []string // nil: refused
	}{
		"one":           {line(oldID+" "+newID+" refs/heads/a\x00 report-status") + "0000PACK", []string{"refs/heads/a"}},
		"two":           {line(oldID+" "+newID+" refs/heads/a\x00 x\n") + line(newID+" "+oldID+" refs/tags/b\n") + "0000", []string{"refs/heads/a", "refs/tags/b"}},
		"shallow":       {line("shallow "+newID) + line(oldID+" "+newID+" refs/heads/a") + "0000", []string{"refs/heads/a"}},
		"options":       {line(oldID+" "+newID+" refs/heads/a\x00report-status push-options agent=git/2") + "0000", nil},
		"no flush":      {line(oldID + " " + newID + " refs/heads/a"), nil},
		"cut":           {"00ff" + oldID, nil},
		"certificate":   {line("push-cert\x00x") + "0000", nil},
		"no hex":        {"zzzz", nil},
		"a length of 4": {"0004", nil},
		"a delimiter":   {"0001", nil},
		"long":          {"ffff" + strings.Repeat("x", 70000), nil},
		"two spaces":    {line(oldID+"  "+newID+" refs/heads/a") + "0000", nil},
		"hidden ref":    {line(oldID+" "+newID+" refs/heads/agent/../main") + "0000", nil},
		"no ref":        {line(oldID+" "+newID+" HEAD") + "0000", nil},
		"upper case":    {line(strings.Repeat("A", 40)+" "+newID+" refs/heads/a") + "0000", nil},
		"too many":      {strings.Repeat(line(oldID+" "+newID+" refs/heads/a"), maxCommands+1) + "0000", nil},
	} {
		refs, read, err := pushed(strings.NewReader(c.body))
		if (err == nil) != (c.refs != nil) || !slices.Equal(refs, c.refs) || !strings.HasPrefix(c.body, string(read)) {
			t.Errorf("%s: %q %q %v", name, refs, read, err)
		}
	}
}

// FuzzPushed: what is read can be put back as it was.
func FuzzPushed(f *testing.F) {
	f.Add([]byte(line(oldID+" "+newID+" refs/heads/a\x00 x") + "0000PACK"))
	f.Add([]byte("0004"))
	f.Add([]byte("ffffx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		from := bytes.NewReader(b)
		refs, read, err := pushed(from)
		rest, _ := io.ReadAll(from)
		if !bytes.Equal(append(slices.Clone(read), rest...), b) {
			t.Error("some was lost")
		}
		for _, ref := range refs {
			if err == nil && (!strings.HasPrefix(ref, "refs/") || !bytes.Contains(read, []byte(ref)) || strings.Contains(ref, "..")) {
				t.Errorf("%q", ref)
			}
		}
	})
}
