package cli

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"nacre"
	"nacre/fault"
	"nacre/policy"
)

// tries is how often a start is tried under which the granted folders change.
const tries = 4

// start starts the sandbox. Where a name that was to be masked or held vanished or was
// replaced meanwhile, all of it is done anew, from the scan on: files that come and go
// would else keep a run from ever starting. Nothing else is tried again.
func (s *session) start(ctx context.Context, engine nacre.Engine) (box nacre.Sandbox, err error) {
	streams := s.streams()
	for n := 1; ; n++ {
		err = s.app.patiently("starting; blocked names are looked for in the granted folders", func() (err error) {
			box, err = engine.Start(ctx, s.plan, streams)
			return err
		})
		if err == nil {
			return box, nil
		}
		s.close()
		s.log.discard()
		if !vanished(err, s.plan) {
			return nil, err
		}
		if f, ok := errors.AsType[*fault.Fault](err); ok {
			f.Hint = "something makes and removes such a name all the time: end that, or grant a folder that does not hold it, and try again"
		}
		if n == tries || ctx.Err() != nil {
			return nil, err
		}
	}
}

// unlaid is what the first process says of a mask or guard for which there was nothing
// any more, and uncovered what the posture says of those whose mounts went with the names
// that they lay on. TestNamesVanish has both from a real sandbox, TestRestlessNames too.
const (
	unlaid    = `^the sandbox cannot be built: folders and files: (?:mask|guard) at (.*?): (?:the folder changed while it was read: )?(?:no such file or directory|not a directory|too many levels of symbolic links)$`
	uncovered = "the boundary is not as planned: mounts, masks, guards, all others: expected in place, found "
)

// vanished tells whether a start failed of nothing but names in granted folders that went
// meanwhile. Where anything else is missing, or is left, it is not that.
func vanished(err error, p nacre.Plan) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if list := joined.Unwrap(); len(list) == 1 {
			return vanished(list[0], p)
		}
		return false
	}
	var names []string
	if m := regexp.MustCompile(unlaid).FindStringSubmatch(err.Error()); m != nil {
		names = append(names, m[1])
	} else if rest, ok := strings.CutPrefix(err.Error(), uncovered); ok {
		for part := range strings.SplitSeq(rest, "; ") {
			name, whole := strings.CutSuffix(part, " is not covered: ") // with what covers it wrongly behind
			if !whole {
				return false
			}
			names = append(names, name)
		}
	}
	for _, name := range names {
		granted := false
		for _, f := range p.Files {
			granted = granted || policy.Within(f.Inside, name)
		}
		if !granted {
			return false
		}
	}
	return len(names) > 0
}
