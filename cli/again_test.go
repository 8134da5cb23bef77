package cli

import (
	"context"
	"errors"
	"testing"

	"nacre"
	"nacre/fault"
)

// failing is an engine whose starts fail with these errors, one after the other.
type failing struct {
	errs    []error
	started int
}

func (*failing) Name() string { return "failing" }

func (f *failing) Start(context.Context, nacre.Plan, nacre.Streams) (nacre.Sandbox, error) {
	f.started++
	return nil, f.errs[min(f.started, len(f.errs))-1]
}

// TestStartedAgain: only what changed underneath is tried again, not often, and never
// where anything else went wrong too.
func TestStartedAgain(t *testing.T) {
	plan := nacre.Plan{Files: []nacre.FileGrant{{Inside: "/work/x"}}}
	const planned = "the boundary is not as planned: mounts, masks, guards, all others: expected in place, found "
	changed := fault.New(fault.Unsupported, "the sandbox cannot be built: folders and files: mask at /work/x/.env: the folder changed while it was read: no such file or directory")
	for name, c := range map[string]struct {
		errs []error
		want int
	}{
		"it works":                {[]error{nil}, 1},
		"it changed":              {[]error{changed, errors.Join(changed), nil}, 3},
		"it changes all the time": {[]error{changed}, tries},
		"its mount went":          {[]error{fault.New(fault.Tampered, "%s/work/x/a is not covered: ; /work/x/b is not covered: ", planned), nil}, 2},
		"a mask is writable":      {[]error{fault.New(fault.Tampered, "%s/work/x/a is not covered: rw,nosuid", planned), nil}, 1},
		"a mount is wrong too":    {[]error{fault.New(fault.Tampered, "%s/work/x/a is not covered: ; /tmp honours setuid", planned), nil}, 1},
		"a mask of the system's":  {[]error{fault.New(fault.Tampered, "%s/proc/interrupts is not covered: ", planned), nil}, 1},
		"another layer":           {[]error{fault.New(fault.Unsupported, "the sandbox cannot be built: mounts: /work/x: no such file or directory"), nil}, 1},
		"a layer is missing":      {[]error{fault.New(fault.Tampered, "not as planned")}, 1},
		"then a layer is missing": {[]error{changed, fault.New(fault.Unsupported, "no layer")}, 2},
		"the name is taken":       {[]error{fault.New(fault.Conflict, "taken")}, 1},
		"something is left":       {[]error{errors.Join(changed, fault.New(fault.Leftover, "a group"))}, 1},
		"a plain error besides":   {[]error{errors.Join(errors.New("a bug"), changed)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{app: &App{}, plan: plan, log: newRunLog(t.TempDir())}
			e := &failing{errs: c.errs}
			_, err := s.start(t.Context(), e)
			if last := c.errs[min(e.started, len(c.errs))-1]; e.started != c.want || err != last {
				t.Errorf("%d starts, %v; want %d, %v", e.started, err, c.want, last)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := &failing{errs: []error{changed}}
	if _, err := (&session{app: &App{}, plan: plan, log: newRunLog(t.TempDir())}).start(ctx, e); e.started != 1 || err == nil {
		t.Errorf("interrupted: %d starts, %v", e.started, err)
	}
}
