package cli

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands that go without something, and why.
var (
	noExample = map[string]string{"nacre exit-codes": "a topic of nacre help"}
	noJSON    = map[string]string{
		"nacre acp": "it speaks a protocol", "nacre run": "--json-events", "nacre exec": "the program's output", "nacre logs": "the program's output",
		"nacre completion": "a script", "nacre schema": "JSON as it is", "nacre audit prove": "JSON as it is", "nacre audit export": "--format",
		"nacre learn answer": "a conversation", "nacre stop": "nothing is printed", "nacre harness install": "nothing is printed",
		"nacre policy allow": "what was done", "nacre policy check": "the exit code", "nacre policy import": "a policy", "nacre policy init": "what was done",
		"nacre secret rm": "nothing is printed", "nacre secret rotate": "nothing is printed", "nacre secret set": "nothing is printed",
		"nacre skill add": "what was done", "nacre skill import": "what was done", "nacre skill new": "what was done", "nacre skill pack": "what was done",
		"nacre skill rm": "what was done", "nacre skill sign": "what was done", "nacre skill update": "a conversation", "nacre skill verify": "the exit code; skill list has it",
		"nacre exit-codes": "a topic of nacre help",
	}
	noCompletion = map[string]string{
		"nacre attack PROBE": "a pattern", "nacre skill new NAME": "a new one", "nacre secret set NAME": "a new one",
		"nacre audit prove N": "a number",
	}
	// What flags are completed with names; others take files, numbers, or what only the owner knows.
	completed = []string{"accept", "image", "limit", "skill", "tool", "with", "running", "sandbox", "format"}
)

// words are the names of what a command takes, as its usage has them.
var words = regexp.MustCompile(`\b(ID|NAME|N|PROBE|CAPABILITY|WHAT)\b`)

// TestOneCommand: a command line gets the command that it names and no other, and the whole
// tree where it names none.
func TestOneCommand(t *testing.T) {
	app := &App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ}
	for _, c := range commands {
		made := rootFor(app, []string{c.name, "--help"}).Commands()
		if len(made) != 1 || made[0].Name() != c.name {
			t.Errorf("%s makes %d commands: %v", c.name, len(made), made)
		}
	}
	for _, args := range [][]string{nil, {"--help"}, {"help", "run"}, {"__complete", "run", ""}, {"rum"}} {
		if made := rootFor(app, args).Commands(); len(made) != len(commands) {
			t.Errorf("%q makes %d commands", args, len(made))
		}
	}
}

// TestCommands: every command says what it is for, shows an example of itself and can be
// read by programs, every flag says what it does, and the shell completes names.
func TestCommands(t *testing.T) {
	used := map[string]bool{}
	walk(Root(&App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ, Program: "/nonexistent/nacre"}), func(c *cobra.Command) {
		path := c.CommandPath()
		lacks := func(list map[string]string, what, name string) {
			used[name] = true
			if list[name] == "" {
				t.Errorf("%s has no %s", name, what)
			}
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q does not say in a line what it is for", path, c.Short)
		}
		if !strings.Contains(c.Example, path) {
			lacks(noExample, "example", path)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s does not say what it does", path, f.Name)
			}
			if _, there := c.GetFlagCompletionFunc(f.Name); !there && slices.Contains(completed, f.Name) && f.Value.Type() != "bool" {
				t.Errorf("%s --%s is not completed", path, f.Name)
			}
		})
		if c.HasSubCommands() && !strings.Contains(c.Use, "COMMAND") {
			return
		}
		if c.Flags().Lookup("json") == nil {
			lacks(noJSON, "--json", path)
		}
		if c.ValidArgs == nil && c.ValidArgsFunction == nil {
			for _, word := range words.FindAllString(strings.SplitN(c.Use, "COMMAND", 2)[0], -1) {
				lacks(noCompletion, "completion", path+" "+word)
			}
		}
	})
	for _, list := range []map[string]string{noExample, noJSON, noCompletion} {
		for name := range list {
			if !used[name] {
				t.Errorf("%s is said to go without something that it has", name)
			}
		}
	}
}

func walk(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		walk(sub, do)
	}
}
