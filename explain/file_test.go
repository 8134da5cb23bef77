package explain

import (
	"testing"

	"nacre"
	"nacre/sandbox/blueprint"
)

// TestFilesLaid: what the engine lays decides: what is made later lies over what was
// there, links lead on, guards and masks hold in what the plan grants.
func TestFilesLaid(t *testing.T) {
	p := plan(t, input(t)) // /home/u/projects/site at /work/site, to write
	laid := []blueprint.Entry{
		{Form: blueprint.System, Host: "tmpfs", Path: "/dev", Dir: true}, {Form: blueprint.Private, Path: "/dev/shm", Dir: true, Write: true},
		{Form: blueprint.System, Host: "proc", Path: "/proc", Dir: true}, {Form: blueprint.Mask, Path: "/proc/kcore"},
		{Form: blueprint.Private, Path: "/run", Dir: true, Write: true}, {Form: blueprint.Link, Path: "/var/run", Text: []byte("/run")},
		{Form: blueprint.File, Path: "/etc/hosts"}, {Form: blueprint.Folder, Path: "/opt"},
		{Form: blueprint.Tree, Host: "/usr", Path: "/usr", Dir: true}, {Form: blueprint.Link, Path: "/bin", Text: []byte("usr/bin")},
		{Form: blueprint.Mask, Path: "/usr/src"}, {Form: blueprint.Tree, Host: "/dev/null", Path: "/dev/null", Device: true},
		{Form: blueprint.Link, Path: "/round", Text: []byte("round")},
		{Form: blueprint.Tree, Host: "/home/u/projects/site", Path: "/work/site", Dir: true, Write: true}, {Form: blueprint.Guard, Path: "/work/site/.git", Write: true},
		{Form: blueprint.Guard, Path: "/work/site/.git/hooks"}, {Form: blueprint.Mask, Path: "/work/site/other-name"},
	}
	for place, want := range map[string]struct {
		read, write bool
		rule        string // of writing
	}{
		"/usr/bin/id": {true, false, "system"}, "/bin/id": {true, false, "system"}, "/usr/src/x": {false, false, "masked"}, "/etc/hosts": {true, false, "own"},
		"/etc/hosts/x": {false, false, "default"}, "/etc/shadow": {false, false, "default"}, "/dev/null": {true, true, "device"}, "/dev/sda": {false, false, "default"},
		"/dev/shm/x": {true, true, "private"}, "/run/x": {true, true, "private"}, "/var/run/x": {true, true, "private"}, "/proc/self/status": {true, false, "own"},
		"/proc/kcore": {false, false, "masked"}, "/opt/x": {false, false, "default"}, "/opt": {true, false, "own"}, "/round": {false, false, "default"}, "/": {false, false, "default"},
		"/work/site/a": {true, true, "files.1"}, "/work/site/.git/index": {true, true, "files.1"}, "/work/site/.git/hooks/pre-commit": {true, false, "guarded"},
		"/work/site/.git": {true, true, "files.1"}, "/work/site/other-name": {false, false, "masked"}, "/work/site/.ssh": {false, false, "blocked..ssh"},
	} {
		for access, allowed := range map[nacre.Access]bool{nacre.Read: want.read, nacre.Write: want.write} {
			d := Decide(p, Query{Capability: "files", Subject: place, Access: access, Inside: true, Laid: laid})
			if (d.Effect == nacre.Allow) != allowed || access == nacre.Write && d.Rule != want.rule || d.Reason == "" {
				t.Errorf("%s %s: %+v", place, access, d)
			}
		}
	}
	for place, rule := range map[string]string{"/home/u/projects/site/.git/hooks/x": "guarded", "/home/u/projects/site/x": "files.1"} {
		if d := Decide(p, Query{Capability: "files", Subject: place, Access: nacre.Write, Laid: laid}); d.Rule != rule {
			t.Errorf("%s: %+v", place, d)
		}
	}
	for kind, allowed := range map[nacre.ImageKind]bool{nacre.ImageHost: false, nacre.ImageOCI: true} {
		p.Image.Kind = kind
		if d := Decide(p, Query{Capability: "files", Subject: "/app/x", Inside: true, Laid: laid}); (d.Effect == nacre.Allow) != allowed {
			t.Errorf("%s: %+v", kind, d)
		}
	}
}
