package cli

import (
	"context"
	"fmt"
	"os"

	"nacre"
	"nacre/doctor"
	"nacre/fault"
	"nacre/gateway/launch"
	"nacre/grant"
)

// trials run a program in a sandbox, and in one with a network, which reaches nobody.
func (app *App) trials(ctx context.Context, who owner, checks []doctor.Check) []doctor.Check {
	first := app.trial(ctx, who, checks, "trial", grant.Compile)
	if !first.OK {
		return []doctor.Check{first}
	}
	network := app.trial(ctx, who, checks, "network", alone)
	network.Required = false
	if network.OK {
		network.Found = "what a sandbox sends is redirected to its gateway"
	}
	return []doctor.Check{first, network}
}

// trial runs a program in a sandbox, with whatever the checks found lacking.
func (app *App) trial(ctx context.Context, who owner, checks []doctor.Check, name string, compiled func(grant.Input) (nacre.Plan, error)) doctor.Check {
	in := input{name: fmt.Sprintf("doctor-%d", os.Getpid())}
	fine := "a program ran in a sandbox with every layer"
	for _, c := range checks {
		if !c.OK && c.Tier != "" {
			in.accept = append(in.accept, string(c.Tier))
			fine = fmt.Sprintf("a program ran in a sandbox without %v", in.accept)
		}
	}
	c, err := in.gather(app, who, []string{"true"})
	if err != nil {
		return found(name, "", err)
	}
	p, err := compiled(c)
	if err = app.refused(who, c, err); err != nil {
		return found(name, "", err)
	}
	engine, log, err := app.engine(who)
	if err != nil {
		return found(name, "", err)
	}
	defer log.Close()
	if l, ok := engine.Gateways.(*launch.Launcher); ok {
		l.Learn = true // nothing is granted
	}
	err = app.patiently("trying a sandbox", func() error {
		box, err := engine.Start(ctx, p, nacre.Streams{})
		if err != nil {
			return err
		}
		exit, err := box.Wait()
		if _, silent := deniedIn(box); silent != "" {
			fine += "; which system calls are denied cannot be told here: " + silent
		}
		if err == nil && exit.Code != 0 {
			err = fault.New(fault.Internal, "true ended with %d (%s)", exit.Code, exit.Reason)
		}
		return err
	})
	return found(name, fine, launch.Lacking(err))
}
