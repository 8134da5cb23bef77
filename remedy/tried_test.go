package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/fault"
	"nacre/manifest"
	"nacre/policy"
	"nacre/unseen"
)

// hostile are names of folders that a terminal, a shell or YAML would read otherwise.
var hostile = []string{"plain", "a b", `ba\ck`, `\n`, `q"uote`, "new\nline", "tab\there", "bidi\u202etxt", "blank\u2800", "zero\u200bwidth", "sel\ufe0f", "fill\u3164",
	"\x1b[31m", "\x7f", "\u0085", "\ufeff", "tag\U000e0041", "it's", "#x", "a: b", "{}", "é", "- x", "%", "\\x41", " # in the administrator's ceiling"}

// asking compiles what asks for these files, under two policies, with what stands in a
// remedy added to them.
func asking(t *testing.T, own, above string, files ...manifest.File) (nacre.Plan, []nacre.Decision, error) {
	t.Helper()
	m := &manifest.Manifest{Name: "a", Command: []string{"x"}, Files: files}
	in := compile.Input{Manifest: m, Subject: nacre.Subject{Path: "/m/agent.yaml"}, Owner: compile.Owner{Home: "/home/u"}, Policy: parsed(t, "own.yaml", own)}
	if above != "" {
		in.Ceiling = parsed(t, "above.yaml", above)
	}
	p, err := Compile(in)
	if refusal, ok := errors.AsType[*compile.Refusal](err); ok {
		return p, refusal.Decisions, err
	}
	return p, nil, err
}

func parsed(t *testing.T, name, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(name, []byte("version: 1\n"+text+"\n"))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// TestRemedyAllows: the line that a refusal gives is printable as it is, and a policy
// that says just this allows what was refused, whatever a folder is called.
func TestRemedyAllows(t *testing.T) {
	for _, name := range hostile {
		file := manifest.File{Path: "/p/" + name, At: "/work/x", Access: nacre.Write}
		_, denied, _ := asking(t, "", "", file)
		if len(denied) != 1 || !IsLine(denied[0].Remedy) {
			t.Errorf("%q: %v", name, denied)
			continue
		}
		line := denied[0].Remedy
		if i := strings.IndexFunc(line, func(r rune) bool { return !unseen.Shown(r) }); i >= 0 {
			t.Errorf("%q: %q has what does not show, at %d", name, line, i)
		}
		if p, _, err := asking(t, line, "", file); err != nil || p.Files[0].Host != "/p/"+name {
			t.Errorf("%q: %s: %v", name, line, err)
		}
	}
}

// TestRemedyIsWhole: a remedy names all that it takes, in both policies, or what stands in
// the way of any line.
func TestRemedyIsWhole(t *testing.T) {
	ask := func(path string, a nacre.Access) []manifest.File {
		return []manifest.File{{Path: path, At: "/work/x", Access: a}}
	}
	const up = " # in the administrator's ceiling"
	for name, c := range map[string]struct {
		own, above string
		files      []manifest.File
		want       string
	}{
		"two names":           {"files: {roots: [/h]}", "", ask("/h/.ssh/id_rsa", nacre.Read), `files: {unblocked: [".ssh", id_rsa]}`},
		"two names, no root":  {"", "", ask("/h/.ssh/id_rsa", nacre.Read), `files: {unblocked: [".ssh", id_rsa], roots: [{path: /h/.ssh/id_rsa, access: read}]}`},
		"own has one":         {"files: {unblocked: [.ssh], roots: [/h]}", "", ask("/h/.ssh/id_rsa", nacre.Read), `files: {unblocked: [id_rsa]}`},
		"both policies":       {"", "files: {}", ask("/h/x", nacre.Read), `files: {roots: [{path: /h/x, access: read}]} # and the same in the administrator's ceiling`},
		"the ceiling":         {"files: {roots: [/h]}", "files: {}", ask("/h/x", nacre.Read), `files: {roots: [{path: /h/x, access: read}]}` + up},
		"the ceiling's name":  {"files: {roots: [/h], unblocked: [.env]}", "files: {roots: [/h]}", ask("/h/.env", nacre.Read), `files: {unblocked: [".env"]}` + up},
		"different in both":   {"files: {unblocked: [.env]}", "files: {roots: [/h]}", ask("/h/.env", nacre.Read), `files: {roots: [{path: /h/.env, access: read}]} # and in the administrator's ceiling: files: {unblocked: [".env"]}`},
		"a wider access":      {"files: {roots: [/h]}", "", ask("/h", nacre.Write), "files: {roots: [{path: /h, access: write}]}"},
		"narrower":            {"files: {roots: [{path: /h, access: write}, /h/x]}", "", ask("/h", nacre.Write), "/h/x below it is at most read (own.yaml:2:44), which stands in the way: allow as much there, or take it out"},
		"two narrower":        {"files: {roots: [{path: /h, access: write}, /h/x, /h/y]}", "", ask("/h", nacre.Write), "/h/x below it is at most read (own.yaml:2:44), /h/y below it is at most read (own.yaml:2:50), which stands in the way: allow as much there, or take it out"},
		"narrower, no root":   {"files: {roots: [/h/x]}", "", ask("/h", nacre.Write), "/h/x below it is at most read (own.yaml:2:17), which stands in the way: allow as much there, or take it out; besides it takes: files: {roots: [{path: /h, access: write}]}"},
		"narrower of one":     {"files: {roots: [{path: /h, access: write}]}\nagents: [{manifest: /m/agent.yaml, files: {roots: [/h/x]}}]", "", ask("/h", nacre.Write), "/h/x below it is at most read (own.yaml:3:52), which stands in the way: allow as much there, or take it out"},
		"narrower above":      {"files: {roots: [{path: /h, access: write}]}", "files: {roots: [{path: /h, access: write}, /h/x]}", ask("/h", nacre.Write), "/h/x below it is at most read (above.yaml:2:44), which stands in the way: allow as much there, or take it out"},
		"reserved":            {"", "", ask("/proc", nacre.Read), ""},
		"blocked by the own":  {"files: {roots: [/h], blocked: [x]}", "", ask("/h/x", nacre.Read), ""},
		"unblocked, then not": {"files: {roots: [/h], blocked: [x]}", "", ask("/h/.env/x", nacre.Read), ""},
	} {
		_, denied, err := asking(t, c.own, c.above, c.files...)
		if len(denied) != 1 || denied[0].Remedy != c.want {
			t.Errorf("%s: %v %v\n%+v\nwant %s", name, err, fault.HintOf(err), denied, c.want)
		}
	}
}

// TestRemedyOfPreset: several places of a preset, denied for different reasons, are one
// thing.
func TestRemedyOfPreset(t *testing.T) {
	root := policy.Root{Path: "/h/x", Access: nacre.Read}
	d := nacre.Decision{Capability: nacre.CapFiles, Subject: "preset p", Rule: "policy.default", Reason: "no rule of the policy allows it"}
	denied, err := Try(compile.Input{}, func(in compile.Input) (denied []nacre.Decision, asked []any, err error) {
		if len(in.Granted.Files.Roots) == 0 {
			other := d
			other.Reason += ": /h is at most none (x)"
			denied, asked = []nacre.Decision{d, other}, []any{root, root}
		}
		return denied, asked, nil
	})
	if err != nil || len(denied) != 2 || denied[0].Remedy != "files: {roots: [{path: /h/x, access: read}]}" {
		t.Errorf("%+v, %v", denied, err)
	}
}

// TestRemediesTogether: what is given for several things allows all of them together.
func TestRemediesTogether(t *testing.T) {
	files := []manifest.File{{Path: "/h/.ssh/id_rsa", At: "/work/a"}, {Path: "/h/.ssh", At: "/work/b"}, {Path: "/x", At: "/work/c", Access: nacre.Write}, {Path: "/h/.env", At: "/work/d"}}
	for i := range files {
		files[i].Access = max(files[i].Access, nacre.Read)
	}
	_, denied, _ := asking(t, "", "", files...)
	if len(denied) != len(files) {
		t.Fatalf("%v", denied)
	}
	in := compile.Input{Manifest: &manifest.Manifest{Name: "a", Command: []string{"x"}, Files: files}, Owner: compile.Owner{Home: "/home/u"}, Policy: &policy.Policy{}}
	for _, d := range denied {
		in.Granted.Add(parsed(t, "line", d.Remedy).Rules)
	}
	if _, err := Compile(in); err != nil {
		t.Errorf("%v: %v", denied, err)
	}
}

// TestUnenforced: what no engine can enforce yet is no question of a policy.
func TestUnenforced(t *testing.T) {
	m, err := manifest.Parse("m", []byte("version: 1\nname: a\ncommand: [x]\ndevices: [dri]\nmessages: [{with: x, access: [send]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compile(compile.Input{Manifest: m})
	refusal, ok := errors.AsType[*compile.Refusal](err)
	if !ok || len(refusal.Decisions) != 2 || slices.ContainsFunc(refusal.Decisions, func(d nacre.Decision) bool {
		return !strings.Contains(d.Remedy, "cannot enforce "+string(d.Capability)) || IsLine(d.Remedy)
	}) || strings.Contains(fault.HintOf(err), "policy would allow") {
		t.Errorf("%v, %s", err, fault.HintOf(err))
	}
}

// TestShell: a word is one word of a shell, and harmless on a terminal.
func TestShell(t *testing.T) {
	for in, want := range map[string]string{"/a b:read": `"/a b:read"`, "it's": `"it's"`, `b\c`: `$'b\\c'`, "$(id)'": `$'$(id)\''`, "n\n": `$'n\x0a'`,
		"\u202e": `$'\xe2\x80\xae'`, "\xff": `$'\xff'`, "`x`": "$'`x`'", `"`: `$'"'`, "é": `"é"`} {
		if got := Shell(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// TestThousandsAreNotTried: what a stranger's manifest asks for thousands of times is
// decided once. Each denial has its line all the same.
func TestThousandsAreNotTried(t *testing.T) {
	for _, n := range []int{maxThings, maxThings + 1} {
		denied, asked, times := make([]nacre.Decision, n), make([]any, n), 0
		for i := range denied {
			entry := manifest.Network{NetworkGrant: nacre.NetworkGrant{Host: fmt.Sprintf("h%d.example.com", i), Ports: []int{443}, Scheme: "https"}}
			denied[i] = nacre.Decision{Capability: nacre.CapNetwork, Subject: entry.Host, Rule: "policy.default"}
			asked[i] = entry
		}
		got, err := Try(compile.Input{}, func(compile.Input) ([]nacre.Decision, []any, error) {
			times++
			return slices.Clone(denied), asked, nil
		})
		if err != nil || (times == 1) != (n > maxThings) {
			t.Errorf("%d: decided %d times, %v", n, times, err)
		}
		if n > maxThings && (!IsLine(got[n-1].Remedy) || !strings.Contains(got[n-1].Remedy, "h100.example.com")) {
			t.Errorf("%q", got[n-1].Remedy)
		}
	}
}
