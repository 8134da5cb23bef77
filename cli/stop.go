package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"nacre/fault"
)

func newStop(app *App) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "stop [flags] ID...",
		Short: "End running sandboxes: ask first, then kill",
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
	err = app.patiently("waiting for "+r.ID+" to end", func() error { return box.Stop(grace) })
	if err == nil || !ended(err) {
		return err
	}
	if _, _, again := app.reach(r.ID); ended(again) { // its last word came too late, but it is gone
		return nil
	}
	return err
}
