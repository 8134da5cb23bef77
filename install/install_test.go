package install

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre/fault"
)

func TestBeside(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "bin", "nacre")
	if _, err := Beside(program, Init); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("nothing there: %v", err)
	}
	for _, place := range []string{"libexec/nacre", "bin"} { // the latter comes first
		want := filepath.Join(dir, place, Init)
		if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(want, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := Beside(program, Init); got != want || err != nil {
			t.Errorf("%s: found %s, %v", want, got, err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "bin", Init), 0o775); err != nil {
		t.Fatal(err)
	}
	if got, err := Beside(program, Init); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a program that others can change: %s, %v", got, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a program away")
	}
	if err := errors.Join(os.Chmod(filepath.Join(dir, "bin", Init), 0o755), os.Chown(filepath.Join(dir, "bin", Init), 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	if got, err := Beside(program, Init); fault.KindOf(err) != fault.Tampered {
		t.Errorf("a program of somebody else's: %s, %v", got, err)
	}
}

// TestAll: every program that is built is Nacre's own, wherever Beside would find it.
func TestAll(t *testing.T) {
	built, err := os.ReadDir("../cmd")
	if err != nil {
		t.Fatal(err)
	}
	all := All("/opt/bin/nacre")
	for _, entry := range built {
		for _, dir := range []string{"/opt/bin", "/opt/libexec/nacre"} {
			if want := filepath.Join(dir, entry.Name()); want != "/opt/libexec/nacre/nacre" && !slices.Contains(all, want) {
				t.Errorf("%s is not among %v", want, all)
			}
		}
	}
}

func TestFirstRange(t *testing.T) {
	me := userName()
	for name, c := range map[string]struct {
		text         string
		first, count int
	}{
		"nothing":     {"", 0, 0},
		"somebody":    {"nobody-else:100000:65536\n", 0, 0},
		"mine":        {"nobody-else:1:2\n" + me + ":200000:65536\n", 200000, 65536},
		"the first":   {me + ":300000:10\n" + me + ":400000:10\n", 300000, 10},
		"no numbers":  {me + ":x:10\n" + me + ":400000:y\n" + me + ":500000:1\n", 500000, 1},
		"root's":      {me + ":0:10\n", 0, 0},
		"none of any": {me + ":100000:0\n", 0, 0},
		"too much":    {me + ":1:2:3\n", 0, 0},
	} {
		file := filepath.Join(t.TempDir(), "subuid")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if first, count := firstRange(file); first != c.first || count != c.count {
			t.Errorf("%s: %d from %d, want %d from %d", name, count, first, c.count, c.first)
		}
	}
}

// TestMap: both programs are asked, for one id each; what one of them says is told.
func TestMap(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, name := range []string{"newuidmap", "newgidmap"} {
		text := "#!/bin/sh\necho \"${0##*/} $*\" >> " + dir + "/asked\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Map(42, 1000, 100007, 100008); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "asked"))
	asked := strings.Split(strings.TrimSpace(string(text)), "\n")
	slices.Sort(asked)
	if want := []string{"newgidmap 42 1000 100008 1", "newuidmap 42 1000 100007 1"}; err != nil || !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q: %v", asked, want, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "newgidmap"), []byte("#!/bin/sh\necho not yours >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Map(42, 1000, 100007, 100008); err == nil || !strings.Contains(err.Error(), "newgidmap: exit status 1: not yours") {
		t.Errorf("refused: %v", err)
	}
}
