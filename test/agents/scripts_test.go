package agents

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre/test/programs"
)

// leftover is how long a daemon of a hostile script sleeps: nobody else does so long.
const leftover = "47110815"

// scripted prepares the tiny agent with a package that has a script, between two that
// have none, of which one lies within it. The harness says what stands in layers.
func scripted(t *testing.T, postinstall, layers string) (*run, *registry) {
	t.Helper()
	programs.Needs(t, "curl", "git")
	g := newRegistry(t, nil)
	r := tinyOwner(t, g)
	line, err := json.Marshal(strings.NewReplacer("$OWNER", r.home, "$REGISTRY", g.URL).Replace(postinstall))
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	archives := map[string][]byte{}
	for place, files := range map[string]map[string]string{
		"node_modules/agent":                     {"package/bin/run": "#!/bin/sh\ncat \"${0%/*}\"/../../maker/made \"${0%/*}\"/../../other/index.js \"${0%/*}\"/../../maker/node_modules/within/index.js 2>&1; true\n"},
		"node_modules/maker":                     {"package/package.json": `{"name": "maker", "version": "1.0.0", "scripts": {"preinstall": "echo first > made", "postinstall": ` + string(line) + `}}`, "package/index.js": "maker\n", "package/.npmrc": "a name that is masked\n"},
		"node_modules/maker/node_modules/within": {"package/index.js": "within\n"},
		"node_modules/other":                     {"package/index.js": "other\n", "package/package.json": `{"scripts": {"install": "echo never > made"}}`},
	} {
		content, integrity := pack(t, files)
		name := filepath.Base(place)
		archives["/"+name+"/-/"+name+"-1.0.0.tgz"] = content
		entries = append(entries, `"`+place+`": {"version": "1.0.0", "integrity": "`+integrity+`"}`)
	}
	g.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, q.URL.Path)
		g.mu.Unlock()
		_, _ = w.Write(archives[q.URL.Path])
	})
	slices.Sort(entries)
	r.write("skills/tiny/lock.json", `{"lockfileVersion": 3, "packages": {`+strings.Join(entries, ", ")+`}}`)
	r.write("skills/tiny/harness.yaml", "version: 1\nlayers:\n"+layers+"command: [sh, /opt/tiny/node_modules/agent/bin/run]\nheadless: [\"{arguments}\"]\n")
	return r, g
}

// declared has the scripts of one package run.
const declared = "  - {lock: lock.json, at: /opt/tiny, scripts: [maker]}\n"

// TestScriptsAreDeclared: scripts run where the harness names their package and the
// owner allows it, and nowhere else.
func TestScriptsAreDeclared(t *testing.T) {
	r, _ := scripted(t, "cat made > /dev/null && cat index.js ../other/index.js node_modules/within/index.js >> made && chmod +x made", declared)
	if out := r.nacreRun(125, "--", "x"); !strings.Contains(out, "--allow-scripts") || strings.Contains(out, "installing") {
		t.Errorf("it was not refused: %s", out)
	}
	out := r.nacreRun(0, "--allow-scripts", "--", "x")
	if !strings.Contains(out, "first\nmaker\nother\nwithin\nother\nwithin\n") || !strings.Contains(out, "running the scripts of maker 1.0.0") || strings.Contains(out, "never") {
		t.Errorf("it was not run, or too much was: %s", out)
	}
	if again := r.nacreRun(0, "--allow-scripts", "--", "x"); strings.Contains(again, "running the scripts") || !strings.Contains(again, "first\n") {
		t.Errorf("it is run again: %s", again)
	}
	made, _ := filepath.Glob(filepath.Join(r.home, ".cache/nacre/layers/*/node_modules/maker/*"))
	masked, _ := filepath.Glob(filepath.Join(r.home, ".cache/nacre/layers/*/node_modules/maker/.npmrc"))
	if len(made) != 5 || len(masked) != 1 || slurp(masked[0]) != "a name that is masked\n" {
		t.Errorf("in the package's folder: %q", made)
	}
	r.write("skills/tiny/harness.yaml", strings.ReplaceAll(r.read("skills/tiny/harness.yaml"), ", scripts: [maker]", ""))
	if out := r.nacreRun(0, "--", "x"); strings.Contains(out, "first\n") || !strings.Contains(out, "installing") {
		t.Errorf("without scripts it is another layer: %s", out)
	}
	r.write("skills/tiny/harness.yaml", strings.ReplaceAll(r.read("skills/tiny/harness.yaml"), "lock.json", "lock.json, scripts: [nobody]"))
	if out := r.nacreRun(125, "--allow-scripts", "--", "x"); !strings.Contains(out, "no package of the lock file is called nobody") {
		t.Errorf("%s", out)
	}
}

// nothingKept: there is no layer, and no half of one.
func (r *run) nothingKept() {
	r.t.Helper()
	left, _ := filepath.Glob(filepath.Join(r.home, ".cache/nacre/layers/*"))
	records, _ := filepath.Glob(filepath.Join(r.home, ".local/state/nacre/layers/*"))
	if len(left) != 1 || filepath.Base(left[0]) != "lock" || records != nil {
		r.t.Errorf("left: %q %q", left, records)
	}
}

// TestHostileScripts: whatever a script does beyond its package's folder comes to
// nothing, or the installation is refused.
func TestHostileScripts(t *testing.T) {
	for name, c := range map[string]struct{ script, refused string }{
		"tries all": {`for f in /work/evil /opt/tiny/evil /etc/evil /usr/evil /opt/nacre/nacre-harness $OWNER/evil ../other/index.js; do echo evil > $f && exit 9; done
			cat $OWNER/.ssh/id_ed25519 $OWNER/policy/policy.yaml && exit 9
			curl -sS -m 3 $REGISTRY/evil && exit 9
			curl -sS -m 3 http://registry.internal/evil && exit 9
			rm ../other && mkdir ../other && echo evil > ../other/index.js
			setsid sleep ` + leftover + ` > /dev/null 2>&1 &
			true`, ""},
		"changes one within":  {"echo evil > node_modules/within/index.js", "belongs to another package"},
		"fills the disk":      {"truncate -s 300M big", "too large"},
		"fills its own place": {"fallocate -l 2G full", "No space left"},
		"plants a link":       {"ln -s /etc/passwd link", "neither a file nor a folder"},
		"plants a pipe":       {"mkfifo pipe", "neither a file nor a folder"},
		"a folder as a link":  {"mv node_modules y; ln -s / node_modules", "neither a file nor a folder"},
		// Where its output can be had at all, what is forged there is refused; see TestTakeRefuses.
		"forges what was made": {"tar -cf - -P /etc/passwd > /proc/$PPID/fd/1; kill -9 $PPID; exit 9", "scripts of maker"},
		"fails":                {"echo this is why >&2; exit 3", "this is why"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r, g := scripted(t, c.script, declared)
			if c.refused != "" {
				if out := r.nacreRun(125, "--allow-scripts", "--", "x"); !strings.Contains(out, c.refused) {
					t.Errorf("not refused by %q: %s", c.refused, out)
				}
				r.nothingKept()
			} else if out := r.nacreRun(0, "--allow-scripts", "--", "x"); !strings.Contains(out, "first\nother\nwithin\n") || strings.Contains(out, canary) {
				t.Errorf("%s", out)
			}
			if slices.Contains(g.requests(), "/evil") || sleeping(leftover) != nil || r.read("evil") != "" {
				t.Errorf("it got out: %q %q", g.requests(), sleeping(leftover))
			}
			_ = filepath.WalkDir(filepath.Join(r.home, ".cache"), func(path string, e os.DirEntry, err error) error {
				if err == nil && e.Name() == "index.js" && strings.Contains(slurp(path), "evil") {
					t.Errorf("%s was changed", path)
				}
				return nil
			})
		})
	}
}
