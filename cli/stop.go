package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/audit"
	"nacre/client"
	"nacre/fault"
	"nacre/runs"
)

// silence is how long a supervisor may take to answer before it counts as one that
// never will, and then to be gone.
const silence = 5 * time.Second

func newStop(app *App) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "stop [flags] ID...",
		Short: "End running sandboxes: ask first, then kill",
		Long: `End running sandboxes: their commands are asked to end, and killed after the grace.
A supervisor that has said nothing by then, nor says anything in five seconds more, is
killed itself; its sandbox ends with it.`,
		Example: `  nacre stop k3x9a2bc
  nacre stop --grace 0s my-agent`,
		Args:              takes(1, -1, "at least one ID"),
		ValidArgsFunction: app.completeRunning,
		RunE: func(_ *cobra.Command, ids []string) error {
			if grace < 0 {
				return fault.New(fault.Usage, "--grace: expected a time such as 10s, found %v", grace)
			}
			var errs []error
			for _, id := range ids {
				errs = append(errs, app.stop(id, grace))
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", stopGrace, "how long the program may take to end by itself")
	return cmd
}

func (app *App) stop(id string, grace time.Duration) error {
	r, box, err := app.reach(id)
	if err != nil {
		return err
	}
	err = app.patiently("waiting for "+r.ID+" to end", func() error { return app.end(r, box, grace) })
	if err == nil || !ended(err) {
		return err
	}
	if _, _, again := app.reach(r.ID); ended(again) { // its last word came too late, but it is gone
		return nil
	}
	return err
}

// end asks a supervisor to end its sandbox, and kills the supervisor once it answers
// nothing. One that answers may take its time: it may have a home to keep.
func (app *App) end(r runs.Record, box client.Client, grace time.Duration) error {
	asked := make(chan error, 1)
	go func() { asked <- box.Stop(grace) }()
	for late := time.After(grace); ; late = time.After(silence) {
		select {
		case err := <-asked:
			return err
		case <-late:
		}
		if !answers(box) {
			return app.kill(r)
		}
	}
}

// answers tells whether a supervisor says anything at all: also that it has gone.
func answers(box client.Client) bool {
	said := make(chan struct{})
	go func() {
		_, _ = box.Plan()
		close(said)
	}()
	select {
	case <-said:
		return true
	case <-time.After(silence):
		return false
	}
}

// kill ends a supervisor that does not answer, takes away what it leaves, and says so in
// the record, which nobody else can any more. It comes after: that one may hold its lock.
func (app *App) kill(r runs.Record) error {
	who, err := app.owner()
	if err != nil {
		return err
	}
	store, err := app.runs(who)
	if err != nil {
		return err
	}
	app.note("%s: its supervisor (process %d) does not answer; it is killed, and its sandbox with it", r.ID, r.Supervisor)
	if err := store.Kill(r, silence); err != nil {
		return err
	}
	_, swept := store.Sweep()
	log, err := audit.Open(who.auditDir(), who.uid)
	if err != nil {
		return errors.Join(swept, err)
	}
	defer log.Close()
	return errors.Join(swept, log.Record(context.Background(), nacre.Event{
		Kind: "sandbox.end", Sandbox: r.ID, Plan: r.Plan, Subject: r.Subject, Caller: nacre.Caller{UID: who.uid, PID: os.Getpid(), Name: "cli"},
		Decision: nacre.Allow, Rule: "owner", Reason: "killed: its supervisor did not answer",
		Detail: map[string]string{"code": "137", "reason": "killed"},
	}))
}
