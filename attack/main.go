package attack

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"nacre/attack/wire"
	"nacre/fault"
)

// Exit codes of Main.
const (
	exitHeld    = 0
	exitEscaped = 1
	exitUsage   = 2
)

// Main is the command line: it attacks the sandbox that --against names and
// prints the scoreboard. It answers 0 where the sandbox held, 1 where it did
// not, 2 where there is no score.
func Main(ctx context.Context, args []string, out, errs io.Writer) int {
	report, format, err := score(ctx, args, errs)
	if err == flag.ErrHelp {
		return exitUsage
	}
	if err == nil {
		switch format {
		case "json":
			err = report.JSON(out)
		case "markdown":
			err = report.Markdown(out)
		default:
			err = report.Table(out)
		}
	}
	if err != nil {
		fmt.Fprintf(errs, "error: %v\n", err)
		if hint := fault.HintOf(err); hint != "" {
			fmt.Fprintf(errs, "hint: %s\n", hint)
		}
		return exitUsage
	}
	if !report.Held() {
		return exitEscaped
	}
	return exitHeld
}

func score(ctx context.Context, args []string, errs io.Writer) (Report, string, error) {
	flags := flag.NewFlagSet("attack", flag.ContinueOnError)
	flags.SetOutput(errs)
	against := flags.String("against", "", "the sandbox's command; {} is the probe's command, {dir} the granted folder")
	name := flags.String("name", "", "what is attacked, for the scoreboard")
	program := flags.String("program", "", "the nacre-attack to run inside (default: beside this program, or in PATH)")
	inside := flags.String("inside", "", "where the granted folder appears in the sandbox (default: at the same path)")
	limits := flags.String("limits", "", `what the sandbox enforces, as JSON: {"memory":268435456,"processes":256}`)
	safe := flags.Bool("safe", false, "only probes that do no harm without a sandbox")
	format := flags.String("format", "table", "table, json or markdown")
	if err := flags.Parse(args); err != nil {
		return Report{}, "", err
	}
	o := Options{Name: *name, Flags: *against, Inside: *inside, Safe: *safe, Probes: flags.Args(), Program: *program}
	if o.Name == "" {
		o.Name = "nacre attack"
	}
	if *limits != "" {
		var l wire.Limits
		if err := json.Unmarshal([]byte(*limits), &l); err != nil {
			return Report{}, "", fault.Wrap(fault.Usage, err, "--limits").WithHint(`such as {"memory":268435456,"processes":256}`)
		}
		o.Limits = l
	}
	var err error
	if o.Command, err = Template(*against); err != nil {
		return Report{}, "", err
	}
	if o.Program == "" {
		if o.Program, err = findProgram(); err != nil {
			return Report{}, "", err
		}
	}
	report, err := Run(ctx, o)
	return report, *format, err
}

func findProgram() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "nacre-attack")
		if st, err := os.Stat(beside); err == nil && st.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("nacre-attack")
	if err != nil {
		return "", fault.Wrap(fault.NotFound, err, "nacre-attack is missing").WithHint("CGO_ENABLED=0 go build -o . ./cmd/nacre-attack, or name it with --program")
	}
	return path, nil
}
