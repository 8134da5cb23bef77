package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/schema"
)

func newSchema(app *App) *cobra.Command {
	return &cobra.Command{
		Use:     "schema [flags] agent|policy",
		Short:   "Print the JSON Schema of agent.yaml or policy.yaml, for editors",
		Example: "  nacre schema agent > agent.schema.json\n  nacre schema policy",
		Args:    takes(1, 1, "agent or policy"), ValidArgs: []string{"agent", "policy"},
		RunE: func(_ *cobra.Command, args []string) error {
			make := map[string]func() ([]byte, error){"agent": schema.Agent, "policy": schema.Policy}[args[0]]
			if make == nil {
				return fault.New(fault.Usage, "nacre schema: expected agent or policy, found %q", args[0])
			}
			b, err := make()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(app.Out, string(b))
			return err
		},
	}
}
