package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"nacre/audit"
	"nacre/auditlog"
	"nacre/doctor"
	"nacre/fault/advice"
	"nacre/install"
	"nacre/load"
	"nacre/room"
)

type doctorOptions struct {
	app           *App
	asJSON, hints bool
}

func newDoctor(app *App) *cobra.Command {
	o := &doctorOptions{app: app}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has and lacks, and how to mend it",
		Long: `Look at each thing that a sandbox needs, and try one. Ends with 0 if sandboxes run
here with every layer, 1 if anything is lacking: then it names the remedy and,
where there is one, the lower tier that could be accepted instead.`,
		Example: "  nacre doctor\n  nacre doctor --json\n  nacre doctor --fix-hints",
		Args:    takes(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print as JSON")
	cmd.Flags().BoolVar(&o.hints, "fix-hints", false, "print only what to do")
	return cmd
}

func (o *doctorOptions) run(ctx context.Context) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	list := doctor.Checks(o.app.Program)
	list = append(list, o.app.installed(), o.app.policyFine(who), o.app.auditFine(who))
	enough := found("room", "enough processes and files are left to start a sandbox", room.Check())
	if list = append(list, enough); enough.OK {
		list = append(list, o.app.trials(ctx, who, list)...)
	}
	good := true
	for _, c := range list {
		good = good && c.OK
	}
	switch {
	case o.asJSON:
		err = o.app.printJSON(list)
	case o.hints:
		err = o.app.printHints(list)
	default:
		err = o.app.printChecks(list)
	}
	if err != nil {
		return err
	}
	return statusOf(good)
}

func (app *App) printChecks(list []doctor.Check) error {
	for _, c := range list {
		mark := app.paint(green, "ok     ")
		switch {
		case !c.OK && c.Tier != "" && !c.Required:
			mark = app.paint(yellow, "lacking")
		case !c.OK:
			mark = app.paint(red, "missing")
		}
		fmt.Fprintf(app.Out, "%s  %s: %s\n", mark, oneLine(c.Name), oneLine(c.Found))
		if !c.OK && c.Remedy != "" {
			fmt.Fprintf(app.Out, "         to mend it: %s\n", oneLine(c.Remedy))
		}
		if !c.OK && c.Tier != "" {
			fmt.Fprintf(app.Out, "         or go on without: nacre policy allow accept %s (once: --accept %s)\n", c.Tier, c.Tier)
		}
	}
	return nil
}

func (app *App) printHints(list []doctor.Check) error {
	for _, c := range list {
		if !c.OK && c.Remedy != "" {
			fmt.Fprintf(app.Out, "%s: %s\n", oneLine(c.Name), oneLine(c.Remedy))
		}
	}
	return nil
}

// found makes a check of an error.
func found(name, fine string, err error) doctor.Check {
	if err == nil {
		return doctor.Check{Name: name, OK: true, Found: fine}
	}
	return doctor.Check{Name: name, Found: err.Error(), Remedy: advice.Of(err, "nacre doctor"), Required: true}
}

func (app *App) installed() doctor.Check {
	init, err := install.Beside(app.Program, install.Init)
	return found("nacre-init", init, err)
}

func (app *App) policyFine(who owner) doctor.Check {
	fine := who.policyPath()
	p, err := load.Policy(fine, who.uid, nil)
	if p == nil {
		fine = "none: nothing is allowed beyond your command lines"
	}
	_, top := load.Policy(who.ceilingPath(), 0, nil)
	return found("policy", fine, errors.Join(err, top))
}

func (app *App) auditFine(who owner) doctor.Check {
	log, err := audit.Open(who.auditDir(), who.uid)
	if err == nil {
		log.Close()
		_, err = auditlog.Verify(who.auditDir(), auditlog.Against{})
	}
	return found("audit", who.auditDir(), err)
}
