// Command vm runs steps in a stock distribution machine, emulated by qemu, and
// prints their results as JSON.
//
//	go run ./test/vm [-arch A] [-release S] [-kernel S] [-variant V] [-file NAME=PATH]... [-steps FILE]
//
// The steps are a JSON list; without one, the smoke test runs: it shows what
// the machine is. The exit code is 1 if any step failed.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"nacre/fault"
	"nacre/test/vm/machine"
)

//go:embed smoke.json
var smoke []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (failed bool, err error) {
	spec := machine.Spec{Progress: os.Stderr, Files: map[string]string{}}
	f := flag.NewFlagSet("vm", flag.ContinueOnError)
	f.StringVar(&spec.Arch, "arch", "amd64", "amd64 or arm64")
	f.StringVar(&spec.Release, "release", "bookworm", "suite of the distribution")
	f.StringVar(&spec.Kernel, "kernel", "", "suite of the kernel, such as bookworm-backports")
	f.DurationVar(&spec.Timeout, "timeout", 5*time.Minute, "for the run, without making an image")
	variant := f.String("variant", "stock", strings.Join(machine.VariantNames(), ", "))
	steps := f.String("steps", "", "JSON file with the steps (default: the smoke test)")
	f.Func("file", "NAME=PATH: carry a file or folder into "+machine.Dir, func(s string) error {
		name, path, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("want NAME=PATH")
		}
		spec.Files[name] = path
		return nil
	})
	if err := f.Parse(args); err != nil {
		return false, fault.Wrap(fault.Usage, err, "wrong options")
	}
	if spec.Variant, err = machine.NamedVariant(*variant); err != nil {
		return false, err
	}
	if spec.Steps, err = readSteps(*steps); err != nil {
		return false, err
	}
	results, err := machine.Run(ctx, spec)
	for _, r := range results {
		failed = failed || r.Exit != 0
	}
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if printErr := e.Encode(results); err == nil {
		err = printErr
	}
	return failed, err
}

func readSteps(file string) ([]machine.Step, error) {
	text := smoke
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the steps")
		}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var steps []machine.Step
	if err := d.Decode(&steps); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the steps in %s", file)
	}
	return steps, nil
}
