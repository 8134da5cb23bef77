package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nacre/client"
	"nacre/fault"
	"nacre/localapi/api"
)

func newLearnAnswer(app *App) *cobra.Command {
	return &cobra.Command{
		Use:   "answer ID",
		Short: "Say what a program that nacre learn --ask runs is let out to",
		Long: `Say, while nacre learn --ask runs a program, what it is let out to: y or n to
each thing that it wants, q to end. A request waits two minutes for its answer.
What you allow is allowed for this run: this method, at this host and port,
whatever the path. The proposal then has what was really asked for.

It does not ask on a terminal that the program can write to.`,
		Example:           "  nacre learn answer k3x9a2bc",
		Args:              takes(1, 1, "one ID"),
		ValidArgsFunction: onlyFirst(app.completeRunning),
		RunE: func(_ *cobra.Command, args []string) error {
			r, box, err := app.reach(args[0])
			if err != nil {
				return err
			}
			_, err = app.answer(box)
			if ended(err) {
				_, err = fmt.Fprintf(app.Out, "%s has ended\n", r.ID)
			}
			return err
		},
	}
}

// answer puts the questions one by one, until the sandbox has ended or there are no
// more answers.
func (app *App) answer(box client.Client) (count int, err error) {
	answers := bufio.NewReader(io.LimitReader(app.In, 1<<20))
	for first := true; ; first = false {
		q, err := box.Asked()
		if err != nil {
			return count, err
		}
		if own := terminals(app.In, app.Out, app.Err); slices.ContainsFunc(own, func(t uint64) bool { return slices.Contains(q.Terminals, t) }) {
			return count, fault.New(fault.Usage, "the program writes to this terminal, and could write what looks like a question").
				WithHint("answer in another one")
		}
		if len(q.List) == 0 {
			if first && isTerminal(app.Err) {
				app.note("nothing is asked yet")
			}
			time.Sleep(glance)
			continue
		}
		allow, err := app.put(q.List[0], answers)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return count, err
		}
		if err := box.Answer(q.List[0].Number, allow); err != nil {
			return count, err
		}
		count++
	}
}

// put puts one question, until it is answered.
func (app *App) put(q api.Question, answers *bufio.Reader) (allow bool, err error) {
	for {
		if _, err := fmt.Fprintf(app.Out, "%s\nlet it out? [y]es / [n]o / [q]uit: ", asked(q)); err != nil {
			return false, err
		}
		line, err := answers.ReadString('\n')
		if !isTerminal(app.In) || err != nil {
			fmt.Fprintln(app.Out)
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		case "q", "quit":
			return false, io.EOF
		}
		if err != nil {
			return false, err
		}
	}
}
