package cli_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"nacre/cli"
)

// TestMain builds the programs beside nacre once (nacre-init not where $NACRE_INIT
// names one), and is itself
// the nacre that the scripts run.
func TestMain(m *testing.M) {
	var tests testscript.TestingM = m
	if os.Getenv("NACRE_BIN") == "" {
		dir, err := os.MkdirTemp("", "nacre-cli")
		if err != nil {
			panic(err)
		}
		tests = cleaned{m, dir}
		for name, ready := range map[string]string{"nacre-init": os.Getenv("NACRE_INIT"), "nacre-gateway": "", "nacre-image": "", "nacre-harness": ""} {
			if err := place(dir, name, ready); err != nil {
				panic(err)
			}
		}
		os.Setenv("NACRE_BIN", dir)
	}
	testscript.Main(tests, map[string]func(){
		"nacre":   func() { os.Exit(nacreMain(os.Args[1:])) },
		"sandbox": func() { os.Exit(nacreMain(sandboxArgs())) },
		"learn":   func() { os.Exit(nacreMain(append(append([]string{"learn"}, accepts()...), os.Args[1:]...))) },
		"acp":     func() { os.Exit(nacreMain(append(append([]string{"acp"}, accepts()...), os.Args[1:]...))) },
	})
}

// cleaned is the tests, with a folder that is removed after them.
type cleaned struct {
	testscript.TestingM
	dir string
}

func (c cleaned) Run() int {
	defer os.RemoveAll(c.dir)
	return c.TestingM.Run()
}

// place puts a program of this tree into a folder, where there is none ready.
func place(dir, name, ready string) error {
	path := filepath.Join(dir, name)
	if ready != "" {
		b, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return os.WriteFile(path, b, 0o755)
	}
	build := exec.Command("go", "build", "-o", path, "nacre/cmd/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

func nacreMain(args []string) int {
	app := &cli.App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ, Version: "test",
		Program: filepath.Join(os.Getenv("NACRE_BIN"), "nacre")}
	return cli.Main(context.Background(), app, args)
}

// accepts are the tiers that a plain user needs on a machine without
// delegation and subordinate ids.
func accepts() []string {
	if os.Geteuid() == 0 {
		return nil
	}
	return []string{"--accept=limits-watchdog", "--accept=owner-uid"}
}

// sandboxArgs make "sandbox …" a "nacre run …" that works for everybody, and
// is quiet about what it accepts.
func sandboxArgs() []string {
	return append(append([]string{"run", "--quiet"}, accepts()...), os.Args[1:]...)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Setup:              setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":      code,
			"gitserver": gitserver,
			"registry":  registry,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "git-server":
				return servesGit(), nil
			}
			return false, errors.New("unknown condition")
		},
	})
}

func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	for _, dir := range []string{home, filepath.Join(env.WorkDir, "run")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(env.WorkDir, "lib.sh"), []byte(shell), 0o600); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("XDG_RUNTIME_DIR", filepath.Join(env.WorkDir, "run"))
	for _, name := range []string{"NACRE_BIN", "GORACE"} {
		env.Setenv(name, os.Getenv(name))
	}
	env.Setenv("UNIQUE", strings.ToLower(rand.Text()[:8])) // root's registry is one for all
	env.Setenv("TERM", "dumb")
	return nil
}

// shell is what the scripts' shell parts share: patience, with an end.
const shell = `
await() {
	n=0
	until "$@"; do
		n=$((n+1))
		if [ $n -gt 300 ]; then echo "gave up waiting: $*"; exit 99; fi
		sleep 0.05
	done
}
`

// code N COMMAND… expects exactly the exit code N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND [ARG]...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, expected %d", got, want)
	}
}
