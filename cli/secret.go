package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/vault"
	"nacre/vault/keyring"
	"nacre/vault/store"
)

func newSecret(app *App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keep secrets that agents use without ever having them",
		Long: `Keep secrets outside every sandbox. A gateway puts them into the requests that
a plan allows; the agent gets no value. No command prints one.`,
		Example: "  nacre secret set github-token\n  nacre secret list",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return unknown(cmd, args) },
	}
	cmd.AddCommand(newSecretSet(app, false), newSecretSet(app, true), newSecretList(app), newSecretRemove(app))
	return cmd
}

// vault is the owner's.
func (app *App) vault(o owner) *store.Vault {
	v := &store.Vault{Dir: filepath.Join(o.state, "vault"), Keyring: keyring.Keyring{Bus: app.getenv("DBUS_SESSION_BUS_ADDRESS")}}
	if term.IsTerminal(int(app.In.Fd())) {
		v.Passphrase = func() ([]byte, error) {
			app.note("the vault's key has a passphrase:")
			return term.ReadPassword(int(app.In.Fd()))
		}
	}
	return v
}

// secretNames completes the names of secrets, of a vault that opens by itself.
func (app *App) secretNames(*cobra.Command, []string, string) (names []string, how cobra.ShellCompDirective) {
	who, err := app.owner()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	v := app.vault(who)
	v.Passphrase = nil
	lines, err := v.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, l := range lines {
		names = append(names, l.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

type secretOptions struct {
	app          *App
	rotate       bool
	env, command string
	passphrase   bool
	keyring      bool
}

func newSecretSet(app *App, rotate bool) *cobra.Command {
	o := &secretOptions{app: app, rotate: rotate}
	cmd := &cobra.Command{
		Use:   "set [flags] NAME",
		Short: "Keep a secret, read from a terminal or from standard input",
		Example: `  nacre secret set github-token
  printf %s "$TOKEN" | nacre secret set github-token
  nacre secret set github-token --env GITHUB_TOKEN
  nacre secret set github-token --command 'pass show github'
  nacre secret set github-token --keyring`,
		Args: takes(1, 1, "one NAME"),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(args[0]) },
	}
	if rotate {
		cmd.Use, cmd.Short = "rotate [flags] NAME", "Replace a secret by a new value"
		cmd.Example, cmd.ValidArgsFunction = "  nacre secret rotate github-token", onlyFirst(app.secretNames)
	}
	f := cmd.Flags()
	f.StringVar(&o.env, "env", "", "it is in this `VARIABLE` of yours, when a run needs it")
	f.StringVar(&o.command, "command", "", "this `PROGRAM` with arguments prints it, when a run needs it")
	f.BoolVar(&o.keyring, "keyring", false, "keep the value in your desktop's keyring, and only a note of it here")
	if !rotate {
		f.BoolVar(&o.passphrase, "passphrase", false, "for a new vault: protect its key with a passphrase")
	}
	return cmd
}

func (o *secretOptions) run(name string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	e := store.Entry{Env: o.env, Command: strings.Fields(o.command), Keyring: o.keyring}
	if o.env == "" && o.command == "" {
		if e.Value, err = o.value(name); err != nil {
			return err
		}
		defer clear(e.Value)
	}
	v := o.app.vault(who)
	v.Protect = o.passphrase
	return v.Set(name, e, o.rotate)
}

// value reads a secret without showing it.
func (o *secretOptions) value(name string) ([]byte, error) {
	if term.IsTerminal(int(o.app.In.Fd())) {
		o.app.note("the value of %s, which is not shown:", name)
		return term.ReadPassword(int(o.app.In.Fd()))
	}
	b, err := io.ReadAll(io.LimitReader(o.app.In, store.MaxValue+1))
	b = bytes.TrimRight(b, "\r\n")
	if err == nil && len(b) == 0 {
		err = fault.New(fault.Usage, "secret %s: expected a value on the standard input, found nothing", name).
			WithHint("such as: printf %%s \"$TOKEN\" | nacre secret %s %s; or --env, or --command", map[bool]string{false: "set", true: "rotate"}[o.rotate], name)
	}
	return b, err
}

func newSecretList(app *App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List secrets by name, and where they are; no values",
		Example: "  nacre secret list\n  nacre secret list --json",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			who, err := app.owner()
			if err != nil {
				return err
			}
			lines, err := app.vault(who).List()
			if err != nil {
				return err
			}
			if asJSON {
				return app.printJSON(append([]store.Line{}, lines...))
			}
			t := table{heading: []string{"NAME", "KIND", "FROM", "FINGERPRINT", "CHANGED"}}
			for _, l := range lines {
				t.add(l.Name, l.Kind, l.From, l.Fingerprint, l.Changed.Format("2006-01-02 15:04"))
			}
			return t.print(app)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newSecretRemove(app *App) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Short:   "Forget secrets",
		Example: "  nacre secret rm github-token",
		Args:    takes(1, -1, "at least one NAME"), ValidArgsFunction: app.secretNames,
		RunE: func(_ *cobra.Command, names []string) error {
			who, err := app.owner()
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range names {
				errs = append(errs, app.vault(who).Remove(name))
			}
			return errors.Join(errs...)
		},
	}
}

// secrets fetches what a plan names, for its gateway.
func (app *App) secrets(o owner) func([]string) (map[string]*vault.Secret, error) {
	return func(names []string) (map[string]*vault.Secret, error) {
		return app.vault(o).Get(context.Background(), names, app.getenv)
	}
}

// keeper keeps secrets that change when they are used. Nobody can be asked for a
// passphrase then: the terminal is the program's.
func (app *App) keeper(o owner) *launch.Keeper {
	v := app.vault(o)
	v.Passphrase = nil
	return &launch.Keeper{Dir: filepath.Join(o.state, "vault"), Vault: v}
}
