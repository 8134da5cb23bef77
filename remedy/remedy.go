// Package remedy says what to do about a refusal: the policy's line that would
// allow what was denied, the known word that an unknown one is near to. It
// decides nothing: the core has decided by then.
package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/policy"
	"nacre/strict"
)

// Compile is compile.Compile, whose refusals say what would allow it.
func Compile(in compile.Input) (nacre.Plan, error) {
	p, err := compile.Compile(in)
	var refusal *compile.Refusal
	var f *fault.Fault
	if !errors.As(err, &refusal) || !errors.As(err, &f) {
		return p, err
	}
	denied, err := Try(in, refusals)
	if err != nil {
		return p, err
	}
	refusal.Decisions = denied
	var lines, others []string
	for _, d := range denied {
		list := &others
		if IsLine(d.Remedy) {
			list = &lines
		}
		if d.Remedy != "" && !slices.Contains(*list, d.Remedy) {
			*list = append(*list, d.Remedy)
		}
	}
	if len(lines) > 0 {
		lines[0] = "the policy would allow it with: " + lines[0]
	}
	if lines = append(lines, others...); len(lines) == 0 {
		lines = []string{"no policy can allow this; ask for less"}
	}
	return p, f.WithHint("%s", strings.Join(lines, "\n"))
}

// refusals are all that Compile refuses.
func refusals(in compile.Input) ([]nacre.Decision, []any, error) {
	_, err := compile.Compile(in)
	if r, ok := errors.AsType[*compile.Refusal](err); ok {
		return slices.Clone(r.Decisions), r.Asked, nil
	}
	return nil, nil, err
}

// ceiling is a line's comment that says which policy it belongs into.
const ceiling = " # in the administrator's ceiling"

// Line is the policy's line that would allow what was denied, given the entry
// that was asked for, as written, or nil where it is only a name. It is empty
// where no line would.
func Line(d nacre.Decision, asked any) string {
	if pattern, ok := strings.CutPrefix(d.Rule, "blocked."); ok {
		if !slices.Contains(policy.BuiltIn(), pattern) {
			return ""
		}
		return "files: {unblocked: [" + Quote(pattern) + "]}"
	}
	if !utf8.ValidString(d.Subject) || d.Effect == nacre.Allow || d.Rule == "reserved" || d.Rule == "invalid" || strings.Contains(d.Rule, ".deny.") {
		return ""
	}
	entry := Quote(d.Subject)
	if asked != nil {
		entry = Flow(asked)
	}
	line := fmt.Sprintf("%s: [%s]", d.Capability, entry)
	switch d.Capability {
	case nacre.CapLimits:
		name, amount, _ := strings.Cut(d.Subject, " ")
		line = fmt.Sprintf("limits: {%s: %s}", name, amount)
	case nacre.CapImage:
		line = "images: [" + entry + "]"
	case nacre.CapFiles:
		line = "files: {roots: [" + entry + "]}"
		if _, preset := asked.(strict.Text); preset {
			line = "files: {presets: [" + entry + "]}"
		}
	}
	if strings.HasPrefix(d.Rule, "ceiling.") {
		line += ceiling
	}
	return line
}
