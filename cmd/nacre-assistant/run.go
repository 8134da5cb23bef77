package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"nacre/assistant"
	"nacre/assistant/channel"
	"nacre/assistant/mcp"
	"nacre/assistant/tool"
	"nacre/cmd/nacre-assistant/provider"
	"nacre/fault"
)

// state is where the assistant keeps what it keeps, below its home.
const state = ".nacre-assistant"

// run does what the command line says.
func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	folder, err := os.Getwd()
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "the working folder")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return fault.Wrap(fault.Usage, err, "no home folder").WithHint("set HOME")
	}
	model, _, _, err := provider.New(o.provider, o.model)
	if err != nil {
		return err
	}
	journal, err := openJournal(home, o.resume)
	if err != nil {
		return err
	}
	defer journal.Close()
	a := &assistant.Agent{Model: model, Journal: journal, Turns: o.turns, Window: o.window, Most: o.most, Tell: assistant.People(os.Stdout, os.Stderr)}
	if o.json {
		a.Tell = assistant.Lines(os.Stdout)
	}
	stop, err := equip(ctx, a, o, folder, home)
	if err != nil {
		return err
	}
	defer stop()
	return a.Run(ctx, o.prompt)
}

// equip gives the agent its tools, and what it is told before it begins.
func equip(ctx context.Context, a *assistant.Agent, o options, folder, home string) (stop func(), err error) {
	notes := filepath.Join(home, state, "memory.md")
	skills, problems := tool.Skills(folder, home)
	a.Tools = append([]assistant.Tool{tool.Shell(folder), tool.Fetch(), tool.Remember(notes)}, tool.Files(folder, home)...)
	if len(skills) > 0 {
		a.Tools = append(a.Tools, tool.ReadSkill(skills))
	}
	var people tool.Channel = channel.Events(a.Told)
	if o.channel >= 0 {
		people = channel.New(os.NewFile(uintptr(o.channel), "channel"))
	}
	a.Tools = append(a.Tools, tool.People(people)...)
	servers := mcp.FromEnvironment(os.Environ())
	if o.mcp != "" {
		more, err := mcp.FromFile(o.mcp)
		if err != nil {
			return nil, err
		}
		for name, s := range more {
			servers[name] = s
		}
	}
	tools, stop, failed := mcp.Connect(ctx, servers)
	a.Tools = append(a.Tools, tools...)
	for _, p := range append(problems, failed...) {
		fmt.Fprintln(os.Stderr, "warning:", p)
	}
	a.System = tool.System(folder, home, notes, skills, time.Now())
	return stop, nil
}

// openJournal opens the journal of the last conversation, or of a new one, whose
// name is then that of the last.
func openJournal(home string, resume bool) (*assistant.Journal, error) {
	folder := filepath.Join(home, state, "conversations")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "no place for the journal")
	}
	last := filepath.Join(folder, "last")
	if resume {
		name, err := os.Readlink(last)
		if err != nil {
			return nil, fault.New(fault.NotFound, "there is no conversation to go on with").WithHint("begin one without --resume")
		}
		return assistant.OpenJournal(filepath.Join(folder, filepath.Base(name)), true)
	}
	name := time.Now().UTC().Format("20060102-150405.000000000") + ".jsonl"
	j, err := assistant.OpenJournal(filepath.Join(folder, name), false)
	if err != nil {
		return nil, err
	}
	fresh := last + ".new"
	_ = os.Remove(fresh) // left by a crash
	if err := errors.Join(os.Symlink(name, fresh), os.Rename(fresh, last)); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Invalid, err, "the journal"), j.Close())
	}
	return j, nil
}
