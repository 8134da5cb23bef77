package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xeipuuv/gojsonschema"
)

// TestBill: the bill of a real program obeys CycloneDX's own schema, names what
// is linked, and is the same each time.
func TestBill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	programs := []string{self}
	var once, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&once, &again} {
		if err := write(b, "1.2", "1700000000", programs); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(once.Bytes(), again.Bytes()) {
		t.Error("twice the same programs, two bills")
	}
	for _, want := range []string{"2023-11-14T22:13:20Z", `"pkg:golang/std@`, `"go:sum"`, `"SHA-256"`} {
		if !strings.Contains(once.String(), want) {
			t.Errorf("nothing says %s:\n%s", want, once.String())
		}
	}
	for _, problem := range validate(t, once.Bytes()) {
		t.Error(problem)
	}
	var broken map[string]any
	if err := json.Unmarshal(once.Bytes(), &broken); err != nil {
		t.Fatal(err)
	}
	broken["components"] = []any{map[string]any{"name": "without a type"}}
	text, err := json.Marshal(broken)
	if err != nil {
		t.Fatal(err)
	}
	if len(validate(t, text)) == 0 {
		t.Error("the validation finds nothing")
	}
}

// TestReleased holds the bill of a release to the schema.
func TestReleased(t *testing.T) {
	name := os.Getenv("SBOM_BILL")
	if name == "" {
		t.Skip("needs SBOM_BILL, the file of a bill: make test-release")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range validate(t, text) {
		t.Error(problem)
	}
}

// validate holds a bill to the schema that its library brings.
func validate(t *testing.T, text []byte) (problems []string) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) gojsonschema.JSONLoader {
		return gojsonschema.NewReferenceLoader("file://" + filepath.Join(strings.TrimSpace(string(dir)), "schema", name))
	}
	loader := gojsonschema.NewSchemaLoader()
	if err := loader.AddSchemas(file("spdx.schema.json"), file("jsf-0.82.schemax.json")); err != nil { // the network is not asked
		t.Fatal(err)
	}
	schema, err := loader.Compile(file("bom-1.6.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := schema.Validate(gojsonschema.NewBytesLoader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range result.Errors() {
		problems = append(problems, e.String())
	}
	return problems
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		epoch    string
		programs []string
	}{"no date": {"", []string{os.Args[0]}}, "nothing": {"1", nil}, "no program": {"1", []string{"go.mod"}}, "absent": {"1", []string{"absent"}}} {
		if err := write(&bytes.Buffer{}, "1", c.epoch, c.programs); err == nil {
			t.Errorf("%s: made a bill", name)
		}
	}
}
