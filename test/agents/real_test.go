package agents

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"nacre/skills"
)

// bundlerLock is that package, and the one that it needs.
const bundlerLock = `{"lockfileVersion": 3, "packages": {
	"node_modules/esbuild": {"version": "0.28.2", "integrity": "sha512-HKVLS8dvII+xoKW9kmqxbRKrnWEXfJJr/FZhhJmiqIB0e053QNYFqOBouTMO/k5sID4MvCiUCvv8b9M4h32wIA=="},
	"node_modules/@esbuild/linux-x64": {"version": "0.28.2", "integrity": "sha512-4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ=="}}}`

// TestRealScripts: a real package whose install script runs a real Node and the program
// of another package, is installed with that and works.
func TestRealScripts(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs x86-64: the lock file is for that")
	}
	r := prepare(t, agent{name: "pi", secret: "anthropic"}) // has the Node in the same layer
	node, err := skills.Files.ReadFile("harness/pi/node-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	r.write("skills/bundler/SKILL.md", "---\nname: bundler\ndescription: Bundles.\n---\n")
	r.write("skills/bundler/node-lock.json", string(node))
	r.write("skills/bundler/lock.json", bundlerLock)
	r.write("skills/bundler/harness.yaml", `version: 1
layers:
  - {lock: node-lock.json, at: /opt/node}
  - {lock: lock.json, at: /opt/bundler, scripts: [esbuild]}
command: ["/opt/node/node_modules/node-linux-{arch}/bin/node", /opt/bundler/node_modules/esbuild/bin/esbuild]
headless: ["{arguments}"]
`)
	r.with = filepath.Join(r.home, "skills/bundler")
	r.world.Installs(r.registry)
	out := r.nacreRun(0, "--allow-scripts", "--", "--version")
	if !strings.Contains(out, "running the scripts of esbuild") || !strings.Contains(out, "\n0.28.2\n") {
		t.Errorf("%s", out)
	}
}
