package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/fault"
)

func TestCheckDirectory(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	make := func(name string, mode os.FileMode, sub string) string {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Join(path, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := make("good", 0o755, "usr")
	if err := os.Symlink(good, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	linked := make("linked", 0o755, "")
	if err := os.Symlink(good+"/usr", linked+"/usr"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path  string
		kind  fault.Kind
		words string
	}{
		"good":              {path: good},
		"only bin":          {path: make("bin", 0o755, "bin")},
		"empty":             {"", fault.Invalid, "absolute"},
		"relative":          {"good", fault.Invalid, "absolute"},
		"the host's own":    {"/", fault.Invalid, "absolute"},
		"the host's, oddly": {"//../", fault.Invalid, "absolute"},
		"missing":           {base + "/none", fault.NotFound, "no such file"},
		"a file":            {base + "/file", fault.Invalid, "not a directory"},
		"a link":            {base + "/link", fault.Invalid, "symlink"},
		"through a link":    {base + "/link/usr", fault.Invalid, "symlink"},
		"others may write":  {make("open", 0o777, "usr"), fault.Denied, "may write"},
		"group may write":   {make("group", 0o775, "usr"), fault.Denied, "may write"},
		"locked":            {make("locked", 0o700, "usr"), fault.Invalid, "could not enter"},
		"no programs":       {make("none-there", 0o755, "data"), fault.Invalid, "neither usr nor bin"},
		"usr is a link":     {linked, fault.Invalid, "neither usr nor bin"},
		"NUL":               {base + "/\x00", fault.Invalid, "image"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := CheckDirectory(test.path)
			if test.words == "" {
				if err != nil {
					t.Fatal(err)
				}
				dir.Close()
				return
			}
			if err == nil {
				dir.Close()
				t.Fatal("accepted")
			}
			if fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.words) || fault.HintOf(err) == "" {
				t.Errorf("got %s: %v (hint %q)", fault.KindOf(err), err, fault.HintOf(err))
			}
		})
	}
	if os.Geteuid() == 0 {
		foreign := make("foreign", 0o755, "usr")
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := CheckDirectory(foreign); fault.KindOf(err) != fault.Denied {
			t.Errorf("another user's: %v", err)
		}
	}
}
