package cli

import (
	"io"

	"github.com/spf13/cobra"

	"nacre/fault"
)

func newCompletion(app *App) *cobra.Command {
	return &cobra.Command{
		Use:   "completion [flags] bash|zsh|fish",
		Short: "Print the completion script of a shell",
		Example: `  source <(nacre completion bash)
  nacre completion zsh > "${fpath[1]}/_nacre"
  nacre completion fish > ~/.config/fish/completions/nacre.fish`,
		Args: takes(1, 1, "bash, zsh or fish"), ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			script := map[string]func(io.Writer) error{
				"bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
				"zsh":  root.GenZshCompletion,
				"fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
			}[args[0]]
			if script == nil {
				return fault.New(fault.Usage, "nacre completion: expected bash, zsh or fish, found %q", args[0])
			}
			return script(app.Out)
		},
	}
}
