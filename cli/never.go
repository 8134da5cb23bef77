package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"nacre"
	"nacre/compile"
	"nacre/explain"
	"nacre/fault"
	"nacre/policy"
)

// futile is a root of a policy that grants nothing as it stands, and why.
type futile struct {
	policy.Root
	nacre.Decision
}

// futile finds, by the evaluator that a run asks, the roots that can never be granted
// themselves, among those given of a policy.
func (app *App) futile(who owner, path string, p *policy.Policy, roots []policy.Root) (list []futile, err error) {
	in := compile.Input{Policy: p, Owner: policy.Owner{Home: who.home, Policies: spellings(path, who.ceilingPath()),
		Own: spellings(who.own(app.Program, app.getenv("XDG_RUNTIME_DIR"))...)}}
	for _, r := range roots {
		if r.Path, err = policy.Resolve(r.Path, "", who.home, r.Origin); err != nil {
			return nil, err
		}
		d, err := explain.Would(in, explain.Query{Capability: nacre.CapFiles, Subject: r.Path, Access: r.Access})
		if err != nil {
			return nil, err
		}
		if d.Rule == "reserved" || strings.HasPrefix(d.Rule, "blocked.") {
			list = append(list, futile{r, d})
		}
	}
	return list, nil
}

// fault refuses such a root.
func (f futile) fault() error {
	err := fault.New(fault.Denied, "%s can never be granted to %s: %s", f.Path, f.Access, f.Decision.Reason).WithHint("name a folder below it, or beside it")
	if line := f.Remedy; line != "" {
		err.What = fmt.Sprintf("%s would not be granted: %s", f.Path, f.Decision.Reason)
		return err.WithHint("with its name unblocked it can be: nacre policy allow '%s', and then this", line)
	}
	return err
}

// absent are those of some roots that are not there.
func absent(who owner, roots []policy.Root) (list []policy.Root) {
	for _, r := range roots {
		path, err := policy.Resolve(r.Path, "", who.home, r.Origin)
		if _, gone := os.Lstat(path); err == nil && os.IsNotExist(gone) {
			r.Path = path
			list = append(list, r)
		}
	}
	return list
}

// rootsOf are the roots of a policy, for all agents and for single ones.
func rootsOf(p *policy.Policy) []policy.Root {
	list := slices.Clone(p.Files.Roots)
	for _, a := range p.Agents {
		list = append(list, a.Files.Roots...)
	}
	return list
}

// grantable names the roots of a policy that are of no use, and counts them.
func (app *App) grantable(who owner, path string, p *policy.Policy) (int, error) {
	roots := rootsOf(p)
	list, err := app.futile(who, path, p, roots)
	if err != nil {
		return 0, err
	}
	for _, f := range list {
		app.note("%s: %s is never granted itself: %s", f.Root.Origin, f.Path, f.Decision.Reason)
	}
	for _, r := range absent(who, roots) {
		app.note("%s: there is no %s", r.Origin, r.Path)
	}
	return len(list), nil
}

// useful refuses an edit by which a root would be added that can never be granted.
func (o *allowOptions) useful(who owner, path, line string) func(old, text []byte) error {
	return func(_, text []byte) error {
		added, err := policy.Parse("the line", []byte(line+"\nversion: 1\n"))
		if err != nil {
			return err
		}
		whole, err := policy.Parse(path, text)
		if err != nil {
			return err
		}
		if o.agent != "" { // what is unblocked for one agent only counts for that one
			whole.Rules.Add(added.Rules)
		}
		list, err := o.app.futile(who, path, whole, rootsOf(added))
		if err == nil && len(list) > 0 {
			err = list[0].fault()
		}
		for _, r := range absent(who, rootsOf(added)) {
			o.app.note("there is no %s yet", strings.TrimSuffix(r.Path, "/"))
		}
		return err
	}
}
