package cli

import (
	"fmt"
	"reflect"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/harness"
	"nacre/schema"
)

func harnessSchema() ([]byte, error) {
	return schema.Of(reflect.TypeFor[harness.Grammar](), "Nacre harness (harness.yaml)")
}

func newSchema(app *App) *cobra.Command {
	return &cobra.Command{
		Use:     "schema [flags] agent|policy|harness",
		Short:   "Print the JSON Schema of agent.yaml, policy.yaml or harness.yaml, for editors",
		Example: "  nacre schema agent > agent.schema.json\n  nacre schema policy",
		Args:    takes(1, 1, "agent, policy or harness"), ValidArgs: []string{"agent", "policy", "harness"},
		RunE: func(_ *cobra.Command, args []string) error {
			make := map[string]func() ([]byte, error){"agent": schema.Agent, "policy": schema.Policy, "harness": harnessSchema}[args[0]]
			if make == nil {
				return fault.New(fault.Usage, "nacre schema: expected agent, policy or harness, found %q", args[0])
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
