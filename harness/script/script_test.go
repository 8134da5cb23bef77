package script

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layered is a layer with a package whose scripts are given, another, and a Node.
func layered(t *testing.T, scripts string) string {
	t.Helper()
	layer := t.TempDir()
	for name, text := range map[string]string{"node_modules/@s/a/package.json": `{"name": "@s/a", "version": "1.0.0", "scripts": {` + scripts + `}}`,
		"node_modules/@s/a/same": "same\n", "node_modules/@s/a/other": "old\n", "node_modules/@s/a/run": "#!/bin/sh\n", "node_modules/@s/b/b": "beside\n", "node_modules/n/bin/node": "#!/bin/sh\necho a Node\n"} {
		path := filepath.Join(layer, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return layer
}

// run runs the scripts of that package, and returns what came out, a file a line.
func run(t *testing.T, layer string) (made []string, err error) {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	var out bytes.Buffer
	if err := (Task{Layer: layer, Place: "node_modules/@s/a", Scratch: filepath.Join(t.TempDir(), "layer"), Out: &out, Said: said}).Run(); err != nil {
		return nil, err
	}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return made, nil
		}
		text, bad := io.ReadAll(r)
		if err = errors.Join(err, bad); err != nil {
			t.Fatal(err)
		}
		made = append(made, fmt.Sprintf("%s %o %s", h.Name, h.Mode, strings.TrimSpace(string(text))))
	}
}

// TestRun: scripts run in their order, find the packages around theirs and a Node, and
// what is new or changed comes out; the layer stays as it was.
func TestRun(t *testing.T) {
	layer := layered(t, `"install": "node >> log; chmod -x run", "preinstall": "cat ../b/b > log; rm same", "postinstall": "echo $npm_lifecycle_event $npm_package_name $npm_package_version >> log; echo new > other; mkdir -p x/y; cp /dev/null x/y/z", "test": "exit 1"`)
	made, err := run(t, layer)
	want := []string{"log 644 beside\na Node\npostinstall @s/a 1.0.0", "other 755 new", "run 644 #!/bin/sh", "x/y/z 644 "}
	if err != nil || !slices.Equal(made, want) {
		t.Errorf("%q %v", made, err)
	}
	if text, err := os.ReadFile(filepath.Join(layer, "node_modules/@s/a/other")); err != nil || string(text) != "old\n" {
		t.Errorf("the layer has %q %v", text, err)
	}
}

func TestRunRefuses(t *testing.T) {
	for scripts, want := range map[string]string{
		`"test": "true"`: "has no scripts for its installation",
		`"install": 7`:   "has no scripts for its installation",
		`"preinstall": "exit 4", "install": "touch x"`: "the script preinstall of @s/a: exit status 4",
		`"install": "ln -s same link"`:                 "left link, which is neither a file nor a folder",
		`"install": "mkfifo pipe"`:                     "left pipe, which is neither a file nor a folder",
		`"install"`:                                    "invalid character",
	} {
		if made, err := run(t, layered(t, scripts)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q %v, want %s", scripts, made, err, want)
		}
	}
}
