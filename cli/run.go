package cli

import (
	"github.com/spf13/cobra"
)

func newRun(app *App) *cobra.Command {
	return &cobra.Command{Use: "run [flags] [--] COMMAND [ARG]...", Short: "Run a program in a sandbox of its own"}
}
