// Command nacre-assistant is the built-in agent: it has a language model do a task
// with a few tools. It runs inside a sandbox like any other agent and is trusted
// with nothing; docs/ASSISTANT.md says how it is used.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"nacre/fault"
)

var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil {
		return
	}
	hint := cmp.Or(fault.HintOf(err), "outside, nacre audit show says what was refused; --resume goes on where it stopped")
	fmt.Fprintf(os.Stderr, "error: %v\nhint: %s\n", err, hint)
	if fault.KindOf(err) == fault.Usage {
		os.Exit(2)
	}
	os.Exit(1)
}

// options are what the command line says.
type options struct {
	prompt          string
	json, resume    bool
	provider, model string
	turns           int
	window, most    int
	mcp             string
	channel         int
}

const about = `nacre-assistant [flags] "the task": has a language model do a task, with tools.
The model is where the environment says (ANTHROPIC_BASE_URL, OPENAI_BASE_URL,
GOOGLE_GEMINI_BASE_URL, and the key beside it); in a sandbox the gateway says it.

`

// parse reads the command line. Flags come before the task.
func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("nacre-assistant", flag.ContinueOnError)
	f.BoolVar(&o.json, "json", false, "print what happens as JSON, one event in a line")
	f.BoolVar(&o.resume, "resume", false, "go on with the last conversation; without a task, where it was stopped")
	f.StringVar(&o.provider, "provider", "", "anthropic, openai (Responses), openai-chat (local models too), gemini; default: what the environment says")
	f.StringVar(&o.model, "model", "", "the model; default: $ANTHROPIC_MODEL, $OPENAI_MODEL, $GEMINI_MODEL, or one of the provider's")
	f.IntVar(&o.turns, "max-turns", 200, "the most answers of the model")
	f.IntVar(&o.window, "context", 150_000, "tokens that a conversation may have before it is summed up")
	f.IntVar(&o.most, "max-tokens", 16_000, "the most tokens of one answer")
	f.StringVar(&o.mcp, "mcp", "", "a file with MCP servers, like .mcp.json")
	f.IntVar(&o.channel, "channel", -1, "a descriptor for messages, wishes and questions, and for answers: JSON, one in a line")
	shown := f.Bool("version", false, "print the version")
	f.Usage = func() {
		_, _ = fmt.Fprint(f.Output(), about)
		f.PrintDefaults()
	}
	if err := f.Parse(args); err == flag.ErrHelp {
		os.Exit(0)
	} else if err != nil {
		os.Exit(2) // the flags have said why
	}
	if *shown {
		fmt.Println("nacre-assistant", version)
		os.Exit(0)
	}
	if o.prompt = strings.Join(f.Args(), " "); o.prompt == "" && !o.resume {
		return o, fault.New(fault.Usage, "there is no task").WithHint(`say what is to be done: nacre-assistant "fix the failing test"`)
	}
	if o.turns < 1 || o.window < 1 || o.most < 1 {
		return o, fault.New(fault.Usage, "--max-turns, --context and --max-tokens are numbers above 0")
	}
	return o, nil
}
