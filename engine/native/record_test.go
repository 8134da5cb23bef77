package native

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nacre"
	"nacre/audit"
	"nacre/compile"
)

// TestCommandsAreRecorded: the record of a start and of an exec has the whole command, from
// which its words can be told again, whatever they are; one that is too long is cut, and
// says so.
func TestCommandsAreRecorded(t *testing.T) {
	e, a := newEngine(t)
	p := planOf(t, "sh", "-c", `sleep 60; "$@" ]`, "] \" [")
	p.Digest = compile.Digest(p)
	box, err := e.Start(context.Background(), p, nacre.Streams{})
	if err != nil {
		t.Fatal(err)
	}
	commands := [][]string{{"true"}, {"true", ""}, {"true", "a b"}, {"true", "a", "b"}, {"true", "\" \"", `\`, "]", "[\"x\"]"},
		{"true", "line\nsandbox.end", "\x1b[2J", "\u202e", "\xff"}, {"true", strings.Repeat("x", 100<<10)}}
	for _, c := range commands {
		if exit, err := box.Exec(context.Background(), c, nacre.Streams{}); err != nil || exit.Code != 0 {
			t.Fatalf("%.80q: %+v, %v", c, exit, err)
		}
	}
	if err := box.Stop(time.Second); err != nil {
		t.Error(err)
	}
	commands = slices.Insert(commands, 0, p.Command)
	for _, event := range a.events {
		if event.Kind != "sandbox.start" && event.Kind != "sandbox.exec" {
			continue
		}
		if len(commands) == 0 {
			t.Fatalf("recorded, and never run: %v", event)
		}
		if got := words(t, event.Detail["command"]); !slices.Equal(got, commands[0]) {
			t.Errorf("recorded %.200q for %.200q", got, commands[0])
		}
		_, line, err := audit.Head{}.Next(event, time.Now())
		long := len(commands[0]) == 2 && len(commands[0][1]) > 16<<10
		if err != nil || len(line) > 20<<10 || strings.Contains(string(line), `\\cut{`) != long {
			t.Errorf("%v: a record of %d bytes: %.200s", err, len(line), line)
		}
		commands = commands[1:]
	}
	if len(commands) > 0 {
		t.Errorf("not recorded: %.200q", commands)
	}
}

// words reads a command as it was recorded.
func words(t *testing.T, text string) (list []string) {
	t.Helper()
	for rest := text; rest != ""; {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			t.Fatalf("%.200s: %v", text, err)
		}
		word, _ := strconv.Unquote(quoted)
		list, rest = append(list, word), strings.TrimPrefix(rest[len(quoted):], " ")
	}
	return list
}
