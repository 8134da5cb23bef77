package rules

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"nacre/channel"
	"nacre/harness"
	"nacre/manifest"
	"nacre/policy"
)

// TestShownFilesParse: every manifest and policy that a document shows whole,
// and those of the examples and the demo, parse.
func TestShownFilesParse(t *testing.T) {
	seen := 0
	parse := func(where, text string) {
		seen++
		var err error
		switch {
		case filepath.Base(where) == channel.File:
			_, err = channel.Parse([]byte(text))
		case strings.Contains(text, "\nheadless:"):
			_, err = harness.Parse(where, []byte(text))
		case strings.Contains(text, "\nname:"):
			_, err = manifest.Parse(where, []byte(text))
		default:
			_, err = policy.Parse(where, []byte(text))
		}
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	block := regexp.MustCompile("(?ms)^```yaml\n(version:.*?)^```")
	for name, text := range documents(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			parse(name, m[1])
		}
	}
	walk(t, ".yaml", func(name string, content []byte) {
		if strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "demo/") {
			parse(name, string(content))
		}
	})
	if seen < 8 {
		t.Errorf("only %d files are shown", seen)
	}
}

// TestEveryKeyIsShown: the grammars' documents show every key.
func TestEveryKeyIsShown(t *testing.T) {
	docs := documents(t)
	for name, root := range map[string]reflect.Type{
		"docs/MANIFEST.md": reflect.TypeFor[manifest.Manifest](),
		"docs/POLICY.md":   reflect.TypeFor[policy.Policy](),
		"docs/AGENTS.md":   reflect.TypeFor[harness.Grammar](),
	} {
		text := docs[name] + docs["docs/MANIFEST.md"] // the policy uses the manifest's words
		for _, key := range keys(root, map[reflect.Type]bool{}) {
			if !regexp.MustCompile(`(?m)(^|[\s{,#` + "`" + `])` + regexp.QuoteMeta(key) + `:`).MatchString(text) {
				t.Errorf("%s does not show the key %q", name, key)
			}
		}
	}
}

// keys are the names in a type's yaml tags, all through.
func keys(of reflect.Type, seen map[reflect.Type]bool) (names []string) {
	for of.Kind() == reflect.Slice || of.Kind() == reflect.Map || of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || seen[of] {
		return nil
	}
	seen[of] = true
	for i := range of.NumField() {
		f := of.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			names = append(names, name)
		}
		names = append(names, keys(f.Type, seen)...)
	}
	return names
}

// TestDependenciesAreExplained: every module of go.mod, and of the assistant's, is
// in docs/DEPENDENCIES.md, and nothing else is.
func TestDependenciesAreExplained(t *testing.T) {
	var mod []byte
	for _, name := range []string{"go.mod", "cmd/nacre-assistant/go.mod"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		mod = append(mod, b...)
	}
	text := documents(t)["docs/DEPENDENCIES.md"]
	required := regexp.MustCompile(`(?m)^\t(\S+[./]\S+) v\S+`).FindAllStringSubmatch(string(mod), -1)
	if len(required) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	known := map[string]bool{"honnef.co/go/tools": true, "github.com/CycloneDX/cyclonedx-go": true, "github.com/xeipuuv/gojsonschema": true, "golang.org/x/sys/unix": true}
	for _, m := range required {
		known[m[1]] = true
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("docs/DEPENDENCIES.md does not say why %s is there", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`((?:[a-z0-9-]+\\.)+[a-z]+/[^`]+)`").FindAllStringSubmatch(text, -1) {
		if !known[m[1]] && !strings.HasSuffix(m[1], ".mod") {
			t.Errorf("docs/DEPENDENCIES.md explains %s, which is not required", m[1])
		}
	}
}
