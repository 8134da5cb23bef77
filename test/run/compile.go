package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// goCommand runs the go command and returns what it prints.
func goCommand(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out), nil
}

// compile builds the tests of every package that has some. A package that does
// not compile is a failure like any other.
func compile(ctx context.Context, o options, dir string, t *tally) ([]suite, error) {
	if err := compilePrograms(ctx, dir); err != nil {
		return nil, err
	}
	const format = "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}\t{{.Dir}}{{end}}"
	out, err := goCommand(ctx, nil, append([]string{"list", "-f", format}, o.packages...)...)
	if err != nil {
		return nil, err
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var suites []suite
	for line := range strings.Lines(out) {
		pkg, folder, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		rel, err := filepath.Rel(root, folder)
		if err != nil {
			return nil, err
		}
		name := strings.ReplaceAll(pkg, "/", "_") + ".test"
		suites = append(suites, suite{pkg, rel, filepath.Join(dir, "tests", name)})
	}
	return compileAll(ctx, o, suites, t), nil
}

func compileAll(ctx context.Context, o options, suites []suite, t *tally) (built []suite) {
	env := []string{"CGO_ENABLED=0"}
	args := []string{"test", "-c", "-vet=off"}
	if o.race {
		env, args = []string{"CGO_ENABLED=1"}, append(args, "-race")
	}
	errs := make([]error, len(suites))
	slots := make(chan struct{}, o.parallel)
	var all sync.WaitGroup
	for i, s := range suites {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_, errs[i] = goCommand(ctx, env, append(args, "-o", s.binary, s.pkg)...)
		})
	}
	all.Wait()
	for i, s := range suites {
		if errs[i] != nil {
			t.add(os.Stdout, result{pkg: s.pkg, user: "compiler", failed: 1, output: []string{errs[i].Error()}})
			continue
		}
		built = append(built, s)
	}
	return built
}

// compilePrograms builds what the tests run: Nacre's own programs, and the
// converter of test output.
func compilePrograms(ctx context.Context, dir string) error {
	for _, sub := range []string{"bin", "faulty", "tests"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	env := []string{"CGO_ENABLED=0"}
	if _, err := goCommand(ctx, env, "build", "-buildvcs=false", "-trimpath", "-o", filepath.Join(dir, "bin")+"/", "./cmd/..."); err != nil {
		return err
	}
	// A module of its own, with the flags that make has, so that it is compiled once.
	if _, err := goCommand(ctx, env, "build", "-C", "cmd/nacre-assistant", "-buildvcs=false", "-trimpath", "-o", filepath.Join(dir, "bin")+"/", "."); err != nil {
		return err
	}
	if _, err := goCommand(ctx, env, "build", "-buildvcs=false", "-trimpath", "-tags", "nacrefault", "-o", filepath.Join(dir, "faulty")+"/", "./cmd/nacre", "./cmd/nacre-init"); err != nil {
		return err
	}
	_, err := goCommand(ctx, env, "build", "-o", filepath.Join(dir, "test2json"), "cmd/test2json")
	return err
}
