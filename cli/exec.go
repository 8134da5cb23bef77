package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"nacre"
	"nacre/terminal"
)

type execOptions struct {
	app *App
	tty string
}

func newExec(app *App) *cobra.Command {
	o := &execOptions{app: app}
	cmd := &cobra.Command{
		Use:   "exec [flags] ID [--] COMMAND [ARG]...",
		Short: "Run another program in a running sandbox, under the same confinement",
		Long: `Run another program in a running sandbox. It gets what the plan of that sandbox
grants and nothing else, and it is recorded. It ends with the sandbox, or before;
without a terminal also when this command is ended, such as by Ctrl-C.`,
		Example: `  nacre exec k3x9a2bc -- ps ax
  nacre exec -t my-agent sh`,
		Args:              takes(2, -1, "ID COMMAND [ARG]..."),
		ValidArgsFunction: onlyFirst(app.completeRunning),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVarP(&o.tty, "tty", "t", "auto", "give it a terminal: auto, always or never")
	cmd.Flags().Lookup("tty").NoOptDefVal = "always"
	return cmd
}

func (o *execOptions) run(ctx context.Context, args []string) error {
	tty, err := o.app.useTTY(o.tty)
	if err != nil {
		return err
	}
	command := args[1:]
	if command[0] == "--" { // it ends nacre's own arguments
		command = command[1:]
	}
	_, box, err := o.app.reach(args[0])
	if err != nil {
		return err
	}
	var exit nacre.Exit
	if tty {
		exit, err = box.ExecTTY(command, windowOf(o.app.In), func(socket *os.File, resize func(nacre.Window) error) error {
			return o.attach(ctx, socket, resize)
		})
	} else {
		exit, err = box.Exec(command, o.app.In, o.app.Out, o.app.Err)
	}
	if err != nil {
		return err
	}
	return statusCode(exit)
}

// attach joins the terminals. Hanging up is what Ctrl-] three times does here.
func (o *execOptions) attach(ctx context.Context, socket *os.File, resize func(nacre.Window) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer socket.Close()
	return terminal.Attach(ctx, terminal.Options{Terminal: o.app.In, Out: o.app.Out, Master: socket, Resize: resize, Kill: cancel})
}
