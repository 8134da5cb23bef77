package cli

import (
	"fmt"
	"strings"

	"nacre"
	"nacre/terminal"
)

// printPlan prints a plan for people.
func (app *App) printPlan(p nacre.Plan) error {
	head := table{}
	head.add("name", p.Name)
	head.add("agent", p.Subject)
	head.add("command", strings.Join(p.Command, " "))
	head.add("starts in", p.Workdir)
	head.add("digest", p.Digest)
	if err := head.print(app); err != nil {
		return err
	}
	list := table{heading: []string{"RULE", "GRANTS", "REASON", "ASKED FOR", "ALLOWED"}}
	for _, g := range grants(p) {
		list.add(g.ID, g.Summary, g.Reason, g.Declared, g.Allowed)
	}
	fmt.Fprintln(app.Out)
	if err := list.print(app); err != nil {
		return err
	}
	if len(p.Warnings) > 0 {
		fmt.Fprintln(app.Out)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(app.Out, "%s %s: %s (%s)\n", app.paint(yellow, "warning:"), w.Name, terminal.Clean(w.Detail), w.Origin)
	}
	return nil
}

// grants is every grant of a plan, in its order.
func grants(p nacre.Plan) []nacre.Grant {
	list := []nacre.Grant{p.Image.Grant}
	for _, g := range p.Files {
		list = append(list, g.Grant)
	}
	for _, g := range p.Network {
		list = append(list, g.Grant)
	}
	for _, g := range p.Syscalls {
		list = append(list, g.Grant)
	}
	for _, named := range [][]nacre.NamedGrant{p.Secrets, p.Models, p.Tools, p.Messages, p.Schedule, p.Devices} {
		for _, g := range named {
			list = append(list, g.Grant)
		}
	}
	for _, v := range p.Environment {
		v.Summary = v.Name + "=" + v.Value
		list = append(list, v.Grant)
	}
	return append(list, p.LimitGrants...)
}
