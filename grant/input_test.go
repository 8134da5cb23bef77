package grant

import (
	"reflect"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/manifest"
	"nacre/strict"
)

func TestWhole(t *testing.T) {
	make := func() Input {
		m := &manifest.Manifest{Name: "a", Command: []string{"x"}, Files: []manifest.File{{Path: "/a", Access: nacre.Read}},
			Environment: map[string]manifest.Variable{"A": {Value: "1"}, "B": {Value: "1"}}}
		m.Limits.Memory.N, m.Limits.CPUs.N = 5, 6
		in := Input{Input: compile.Input{Manifest: m, Owner: compile.Owner{Home: "/home/u", Cwd: "/home/u/p"}}, Name: "b", Command: []string{"y"},
			Files:       []manifest.File{{Path: "site", Access: nacre.Write}, {Preset: "go", Access: nacre.Read}},
			Environment: map[string]manifest.Variable{"B": {Value: "2"}, "TERM": {From: "owner"}}, Accept: []nacre.Tier{nacre.TierNoLandlock}}
		in.Limits.Memory.N = 7
		return in
	}
	in := make()
	whole, err := in.Whole()
	if err != nil {
		t.Fatal(err)
	}
	m, g := whole.Manifest, whole.Granted
	if m.Name != "b" || m.Command[0] != "y" || len(m.Files) != 3 || m.Files[1].Path != "/home/u/p/site" || m.Files[2].Preset != "go" ||
		m.Environment["A"].Value != "1" || m.Environment["B"].Value != "2" || m.Limits.Memory.N != 7 || m.Limits.CPUs.N != 6 {
		t.Errorf("asked: %+v", m)
	}
	text := func(s string) []strict.Text { return []strict.Text{{Value: s, Origin: commandLine}} }
	if len(g.Files.Roots) != 1 || g.Files.Roots[0].Path != "/home/u/p/site" || g.Files.Roots[0].Access != nacre.Write || !reflect.DeepEqual(g.Files.Presets, text("go")) ||
		!reflect.DeepEqual(g.Environment, text("TERM")) || !reflect.DeepEqual(g.Accept, text("no-landlock")) || g.Limits.Memory.N != 7 || g.Limits.CPUs.N != 0 {
		t.Errorf("granted: %+v", g)
	}
	if !reflect.DeepEqual(in, make()) {
		t.Error("the input was changed")
	}
	if whole, err := (Input{Command: []string{"x"}}).Whole(); err != nil || whole.Manifest.Name != Unnamed || !whole.Manifest.Loopback || !reflect.DeepEqual(whole.Granted, compile.Input{}.Granted) {
		t.Errorf("%+v, %v", whole, err)
	}
	in.Files = []manifest.File{{Path: "~bob/x"}}
	if _, err := in.Whole(); err == nil {
		t.Error("another's home was accepted")
	}
}
