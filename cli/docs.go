package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nacre/fault"
)

// newDocs writes manual pages; it is for packagers.
func newDocs(app *App) *cobra.Command {
	cmd := &cobra.Command{Use: "docs", Short: "Write documentation", Hidden: true, Args: cobra.ArbitraryArgs, RunE: unknown}
	cmd.AddCommand(&cobra.Command{
		Use: "man FOLDER", Short: "Write the manual pages", Example: "  nacre docs man share/man/man1", Args: takes(1, 1, "a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := writeManual(args[0], app.Version, cmd.Root()); err != nil {
				return fault.Wrap(fault.Usage, err, "nacre docs man")
			}
			return nil
		},
	})
	return cmd
}

// writeManual writes one page for each command that people see.
func writeManual(dir, version string, cmd *cobra.Command) error {
	if cmd.Hidden {
		return nil
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(manualPage(name, version, cmd)), 0o644); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := writeManual(dir, version, sub); err != nil {
			return err
		}
	}
	return nil
}

// roff keeps text from being read as a request.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n.", "\n\\&.", "\n'", "\n\\&'")

// manualPage is a command's help as man(7) has it.
func manualPage(name, version string, cmd *cobra.Command) string {
	var b strings.Builder
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, ".SH %s\n.nf\n%s\n.fi\n", title, strings.TrimPrefix(roff.Replace("\n"+text), "\n"))
		}
	}
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"nacre %s\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name), version, roff.Replace(name), roff.Replace(cmd.Short))
	section("SYNOPSIS", cmd.UseLine())
	section("DESCRIPTION", long)
	var options strings.Builder
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(&options, "--%s %s\n    %s\n", f.Name, value, usage)
	})
	section("OPTIONS", options.String())
	section("EXAMPLES", cmd.Example)
	var others []string
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			others = append(others, strings.ReplaceAll(sub.CommandPath(), " ", "-")+"(1)")
		}
	}
	section("SEE ALSO", strings.Join(others, ", "))
	return b.String()
}
