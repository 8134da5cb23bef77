package grant

import (
	"strings"
	"testing"

	"nacre"
	"nacre/fault"
	"nacre/manifest"
)

func TestParseFiles(t *testing.T) {
	for s, want := range map[string]manifest.File{
		".":                 {Path: ".", Access: nacre.Read},
		".:read":            {Path: ".", Access: nacre.Read},
		"~/a b:write":       {Path: "~/a b", Access: nacre.Write},
		".:read@/inside":    {Path: ".", At: "/inside", Access: nacre.Read},
		".@/inside":         {Path: ".", At: "/inside", Access: nacre.Read},
		"/a:b":              {Path: "/a:b", Access: nacre.Read},
		"/a:b:write@/c:d":   {Path: "/a:b", At: "/c:d", Access: nacre.Write},
		"/a:read:read":      {Path: "/a:read", Access: nacre.Read},
		"user@host":         {Path: "user@host", Access: nacre.Read},
		"node_modules/@x/y": {Path: "node_modules/@x/y", Access: nacre.Read},
		"/a@/b@/c":          {Path: "/a@/b", At: "/c", Access: nacre.Read},
		"/a@/b:write@/c":    {Path: "/a@/b", At: "/c", Access: nacre.Write},
		"new\nline":         {Path: "new\nline", Access: nacre.Read},
		"preset:go":         {Preset: "go", Access: nacre.Read},
		"./preset:go":       {Path: "./preset:go", Access: nacre.Read},
		"/a:none":           {Path: "/a:none", Access: nacre.Read},
		"/a:Read":           {Path: "/a:Read", Access: nacre.Read},
	} {
		want.Origin = commandLine
		got, err := ParseFiles(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", s, got, err, want)
		}
	}
	for s, want := range map[string]string{"": "no path", ":read": "no path", "@/x": "no path", ":write@/x": "no path", "/a@/b:read": "two ways",
		"/a:stage": "reserved", "/a:stage@/x": "reserved", "preset:": "either path or preset", "preset:none": "no preset"} {
		if _, err := ParseFiles(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}

func TestParseVariable(t *testing.T) {
	for s, want := range map[string]manifest.Variable{"A=b=c": {Value: "b=c"}, "A=": {}, "A": {From: "owner"}} {
		want.Origin = commandLine
		if name, v, err := ParseVariable(s); name != "A" || v != want || err != nil {
			t.Errorf("%q: %s %+v %v", s, name, v, err)
		}
	}
	for _, s := range []string{"", "=x", "1A=x", "A B=x", "HOME=/", "A=x\x00", "A=" + strings.Repeat("x", 40000)} {
		if _, _, err := ParseVariable(s); err == nil {
			t.Errorf("%.20q was accepted", s)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for s, want := range map[string]int64{"memory=1GiB": 1 << 30, "disk=1.5KiB": 1536, "disk=2000": 2000, "disk=1 MB": 1e6, "cpus=0.5": 500, "cpus=2": 2000,
		"processes=7": 7, "open-files=64": 64, "output=1KB": 1000, "time=1h30m": 5400e9} {
		var l manifest.Limits
		if err := ParseLimit(&l, s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		name, text, _ := strings.Cut(s, "=")
		for _, limit := range l.Each() {
			switch {
			case limit.Name != name && limit.N != 0, limit.Name == name && (limit.N != want || limit.Origin != commandLine):
				t.Errorf("%s: %s is %d", s, limit.Name, limit.N)
			case limit.Name == name:
				if again, err := limit.Parse(limit.Format(limit.N)); again != limit.N || err != nil {
					t.Errorf("%s: written as %s, read as %d, %v", text, limit.Format(limit.N), again, err)
				}
			}
		}
	}
	for _, s := range []string{"", "memory", "memory=", "=1", "memry=1", "memory=-1", "memory=1MiB", "open-files=63", "cpus=0.009", "memory=0", "memory=1XB", "memory=1e9", "memory=inf", "memory=999999999999TiB",
		"cpus=0", "cpus=-1", "cpus=NaN", "cpus=1e3", "cpus=0.0001", "processes=1.5", "processes=99999999999", "time=5", "time=-1h", "time=99999999h", "disk=1GiB extra"} {
		var l manifest.Limits
		if err := ParseLimit(&l, s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestParseTier(t *testing.T) {
	if tier, err := ParseTier("no-landlock"); tier != nacre.TierNoLandlock || err != nil {
		t.Errorf("%v %v", tier, err)
	}
	if _, err := ParseTier("all"); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
}

func FuzzParseFiles(f *testing.F) {
	for _, s := range []string{".:read@/inside", "/a@/b:write@/c", "preset:go", "@/", ":read", "a:b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ParseFiles(s)
		if err != nil {
			return
		}
		if (g.Path == "") == (g.Preset == "") || g.Access != nacre.Read && g.Access != nacre.Write || g.At != "" && g.At[0] != '/' {
			t.Fatalf("%q: %+v", s, g)
		}
		if g.Preset == "" && g.At != "" { // written out in full it reads the same
			again, err := ParseFiles(g.Path + ":" + g.Access.String() + "@" + g.At)
			if err != nil || again != g {
				t.Fatalf("%q: %+v, then %+v, %v", s, g, again, err)
			}
		}
	})
}

func FuzzParseLimit(f *testing.F) {
	f.Add("memory=1.5GiB")
	f.Add("time=1h")
	f.Add("cpus=0.001")
	f.Fuzz(func(t *testing.T, s string) {
		var l manifest.Limits
		if err := ParseLimit(&l, s); err == nil {
			for _, limit := range l.Each() {
				if limit.N < 0 || limit.Text != "" && limit.N == 0 {
					t.Fatalf("%q: %+v", s, limit.Amount)
				}
			}
		}
	})
}
