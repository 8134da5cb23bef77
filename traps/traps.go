package traps

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/gitconfig"
)

// maxOfKind bounds how many findings of one kind a report holds.
const maxOfKind = 100

// Snapshot is how a folder was before a run. The zero value is of no folder.
type Snapshot struct {
	dev, ino uint64
	stamps   map[key]stamp
	named    []gitconfig.Name
}

// Named is what git's configuration names in the folder.
func (s Snapshot) Named() []gitconfig.Name { return s.named }

// Take looks at a folder before a run. dir holds it, opened beneath a trusted
// root without following links; a descriptor without access (O_PATH) will do.
// Errors: Invalid where it is no folder; Exhausted where it is over the bounds,
// so that nothing could be told afterwards; Denied where it cannot be read.
func Take(ctx context.Context, dir *os.File) (Snapshot, error) {
	s, err := identify(dir)
	if err != nil {
		return Snapshot{}, err
	}
	var cut errCut
	s.stamps, s.named, err = walk(ctx, dir, usual, func(key, stamp) bool { return true })
	switch {
	case errors.As(err, &cut):
		return Snapshot{}, fault.New(fault.Exhausted, "cannot watch %s: %s", dir.Name(), cut).
			WithHint("grant a smaller folder")
	case err != nil:
		return Snapshot{}, fault.Wrap(fault.Denied, err, "cannot read %s", dir.Name())
	}
	return s, nil
}

// Changes names what is new or different in the folder since the snapshot. A
// bound that is met, or the end of ctx, cuts the report, which then says so.
// Errors: Tampered where dir is another folder; Denied where it cannot be read.
func Changes(ctx context.Context, before Snapshot, dir *os.File) (Report, error) {
	now, err := identify(dir)
	if err != nil {
		return Report{}, err
	}
	if before.stamps == nil || now.dev != before.dev || now.ino != before.ino {
		return Report{}, fault.New(fault.Tampered, "%s is not the folder that was looked at before", dir.Name())
	}
	var cut errCut
	now.stamps, now.named, err = walk(ctx, dir, usual, func(k key, s stamp) bool {
		old, known := before.stamps[k]
		return known && old.hashed && !old.untouched(s)
	})
	if err != nil && !errors.As(err, &cut) {
		return Report{}, fault.Wrap(fault.Denied, err, "cannot read %s", dir.Name())
	}
	report := Report{Cut: string(cut)}
	for k, s := range now.stamps {
		if f, ok := before.finding(now, k, s); ok {
			report.Findings = append(report.Findings, f)
		}
	}
	report.order()
	return report, nil
}

func identify(dir *os.File) (Snapshot, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return Snapshot{}, fault.Wrap(fault.Denied, err, "cannot read %s", dir.Name())
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return Snapshot{}, fault.New(fault.Invalid, "%s is not a folder", dir.Name())
	}
	return Snapshot{dev: st.Dev, ino: st.Ino}, nil
}

// finding tells whether an entry is new or different, and not named already by
// a folder above it that is new for the same reason.
func (before Snapshot) finding(now Snapshot, k key, s stamp) (Finding, bool) {
	f := Finding{Path: k.path, Kind: k.kind, Change: New, Severity: s.rule.severity, Why: s.rule.why}
	if old, known := before.stamps[k]; known {
		f.Change = Changed
		return f, !old.same(s)
	}
	if s.under != "" {
		above := key{s.under, k.kind}
		_, was := before.stamps[above]
		_, is := now.stamps[above]
		return f, was || !is
	}
	return f, true
}

// order puts the loudest first, and keeps so many of each kind.
func (r *Report) order() {
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(strings.Count(a.Path, "/"), strings.Count(b.Path, "/")),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind))
	})
	count := map[Kind]int{}
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool {
		count[f.Kind]++
		return count[f.Kind] > maxOfKind
	})
	for kind, n := range count {
		if n > maxOfKind {
			if r.More == nil {
				r.More = map[Kind]int{}
			}
			r.More[kind] = n - maxOfKind
		}
	}
}
