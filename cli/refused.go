package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"nacre"
	"nacre/audit"
	"nacre/compile"
	"nacre/fault"
	"nacre/grant"
)

// refused has it recorded, before anybody is told, that nothing was started for err. A
// command line that is wrong is no refusal. Where there is no record, that is one more
// error: what was refused stays refused.
func (app *App) refused(o owner, c grant.Input, err error) error {
	if err == nil || fault.KindOf(err) == fault.Usage {
		return err
	}
	log, failed := audit.Open(o.auditDir(), o.uid)
	if failed == nil {
		defer log.Close()
		failed = log.Record(context.Background(), refusalOf(c, err, nacre.Caller{UID: o.uid, PID: os.Getpid(), Name: "cli"}))
	}
	if failed != nil {
		err = errors.Join(err, fault.Wrap(fault.KindOf(failed), failed, "the refusal could not be recorded").WithHint("%s", fault.HintOf(failed)))
	}
	return err
}

// refusalOf is the record of it: every decision is a detail of its own, in the order of
// the manifest. The audit bounds how many are kept, and says how many are not.
func refusalOf(c grant.Input, err error, by nacre.Caller) nacre.Event {
	e := nacre.Event{Kind: "sandbox.refused", Subject: c.Subject.String(), Caller: by, Decision: nacre.Deny, Reason: err.Error(),
		Detail: map[string]string{"error": cmp.Or(string(fault.KindOf(err)), "internal")}}
	command := c.Command
	if len(command) == 0 && c.Manifest != nil {
		command = c.Manifest.Command
	}
	if len(command) > 0 {
		e.Detail["command"] = strings.Trim(fmt.Sprintf("%q", command), "[]") // as native records it
	}
	var refusal *compile.Refusal
	if !errors.As(err, &refusal) {
		return e
	}
	denied := refusal.Decisions
	e.Rule, e.Reason = denied[0].Rule, whatOf(err)+" "+refused(denied[0])
	if len(denied) > 1 {
		e.Reason = fmt.Sprintf("%s %d things, first %s", whatOf(err), len(denied), refused(denied[0]))
	}
	e.Detail["denied"] = strconv.Itoa(len(denied))
	for i, d := range denied {
		e.Detail[fmt.Sprintf("denied.%05d", i+1)] = fmt.Sprintf("%s %q by %s: %s", d.Capability, d.Subject, cmp.Or(d.Rule, "default"), reasonOf(d))
	}
	return e
}

// whatOf is an error without its cause.
func whatOf(err error) string {
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f.What
	}
	return err.Error()
}
