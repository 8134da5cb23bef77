package cli

import (
	"github.com/spf13/cobra"

	"nacre/client"
)

func newPosture(app *App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "posture [flags] ID",
		Short: "Read back from a running sandbox what holds, beside what must",
		Long: `Read back from the kernel what holds for a running sandbox, beside what its plan
says must hold. Ends with 1 if anything differs.`,
		Example:           "  nacre posture k3x9a2bc\n  nacre posture --json my-agent",
		Args:              takes(1, 1, "one ID"),
		ValidArgsFunction: onlyFirst(app.completeRunning),
		RunE: func(_ *cobra.Command, ids []string) error {
			_, box, err := app.reach(ids[0])
			if err != nil {
				return err
			}
			return app.posture(box, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func (app *App) posture(box client.Client, asJSON bool) error {
	lines, err := box.Posture()
	if err != nil {
		return err
	}
	good := true
	t := table{heading: []string{"LAYER", "ITEM", "EXPECTED", "FOUND", "OK"}}
	for _, l := range lines {
		good = good && l.OK
		t.add(l.Layer, l.Item, l.Expected, l.Found, yesNo(l.OK))
	}
	if asJSON {
		err = app.printJSON(lines)
	} else {
		err = t.print(app)
	}
	if err != nil {
		return err
	}
	return statusOf(good)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
