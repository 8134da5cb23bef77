package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/test/programs"
)

// TestOneArchitecture: what is wrong on one architecture alone is found there.
func TestOneArchitecture(t *testing.T) {
	programs.Needs(t, "go")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example\n\ngo 1.26.0\n",
		"main.go":       "package main\n\nimport \"os\"\n\nfunc main() { os.Exit(code()) }\n",
		"code_amd64.go": "package main\n\nfunc code() int { return 1 }\n",
		"code_arm64.go": "package main\n\nfunc code() int { return \"1\" }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for arch, want := range map[string]string{"amd64": "[]", "arm64": `code_arm64.go:3:26: cannot use "1"`} {
		found, err := check(dir, arch)
		if err != nil || !strings.Contains(fmt.Sprint(found), want) {
			t.Errorf("%s: %v, %v", arch, found, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nimport _ \"example/none\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := check(dir, "amd64"); err == nil && found == nil {
		t.Error("what imports a package that there is not is found good")
	}
}
