package machine

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"nacre/fault"
	"nacre/test/vm/job"
)

func TestSpecIsCompletedOrRefused(t *testing.T) {
	good := []Step{{Name: "a", User: Tester, Command: "true"}}
	noSession, err := NamedVariant("no-session")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		spec Spec
		ok   bool
		bare bool
	}{
		"defaults":     {Spec{Steps: good}, true, false},
		"no session":   {Spec{Steps: good, Variant: noSession}, true, true},
		"no steps":     {Spec{}, false, false},
		"no user":      {Spec{Steps: []Step{{Name: "a", Command: "true"}}}, false, false},
		"another user": {Spec{Steps: []Step{{Name: "a", User: "nobody"}}}, false, false},
		"architecture": {Spec{Arch: "vax", Steps: good}, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.spec.Cache = t.TempDir()
			s, err := test.spec.complete()
			if (err == nil) != test.ok {
				t.Fatalf("error %v, want ok %v", err, test.ok)
			}
			if err != nil {
				if fault.KindOf(err) != fault.Usage {
					t.Errorf("kind %v, want usage", fault.KindOf(err))
				}
				return
			}
			if s.Arch != "amd64" || s.Kernel != "bookworm" || s.Steps[0].Timeout != time.Minute || s.Steps[0].Bare != test.bare {
				t.Errorf("completed to %+v", s)
			}
		})
	}
}

func TestUnknownVariant(t *testing.T) {
	if _, err := NamedVariant("fast"); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "no-landlock") {
		t.Errorf("error %v, hint %q", err, fault.HintOf(err))
	}
}

func TestArchive(t *testing.T) {
	tests := map[string]string{
		"bookworm main http://a/debian/\n": "http://a/debian",
		"bookworm-security main http://s/\nbookworm contrib http://c/\nbookworm main http://a/debian\n": "http://a/debian",
		"noble main http://u/ubuntu/\n": "",
		"":                              "",
	}
	for in, want := range tests {
		if got := archive(in); got != want {
			t.Errorf("archive(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestResultsSurviveATornEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results")
	text := `{"name":"a","exit":3,"output":"x"}` + "\n" + `{"name":"b","exit":0,"output":""}` + "\n"
	for _, end := range []string{"", "\x00\x00\x00", `{"name":"c","ou`, `{"name":"c","ou` + "\x00\x00"} {
		if err := os.WriteFile(file, []byte(text+end), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readResults(file)
		if len(got) != 2 || got[0].Exit != 3 || got[1].Name != "b" || err != nil && end != `{"name":"c","ou` {
			t.Errorf("end %q: %v, %v", end, got, err)
		}
	}
}

// entries reads a cpio archive back: name → size, in order.
func entries(t *testing.T, b []byte) (names []string, sizes map[string]int) {
	sizes = map[string]int{}
	field := func(at, i int) int {
		n, err := strconv.ParseInt(string(b[at+6+8*i:at+14+8*i]), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	for at := 0; ; {
		if string(b[at:at+6]) != "070701" {
			t.Fatalf("no header at %d", at)
		}
		size, length := field(at, 6), field(at, 11)
		name := string(b[at+110 : at+110+length-1])
		if name == "TRAILER!!!" {
			return names, sizes
		}
		names, sizes[name] = append(names, name), size
		at = (at + 110 + length + 3) &^ 3
		at = (at + size + 3) &^ 3
	}
}

func TestInitramfs(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"guest": 4097, "01-b.ko": 3, "00-z.ko": 8, "notes": 1} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := initramfs(dir+"/guest", dir)
	if err != nil {
		t.Fatal(err)
	}
	names, sizes := entries(t, b)
	if strings.Join(names, " ") != "init modules modules/00-z.ko modules/01-b.ko" {
		t.Errorf("names %v", names)
	}
	if sizes["init"] != 4097 || sizes["modules/01-b.ko"] != 3 {
		t.Errorf("sizes %v", sizes)
	}
}

func TestPayload(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"guest": "g", "tree/sub/file": "content"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/file", dir+"/tree/link"); err != nil {
		t.Fatal(err)
	}
	disk := dir + "/disk"
	if err := writePayload(disk, dir+"/guest", job.Job{}, map[string]string{"t": dir + "/tree"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(disk)
	if err != nil || info.Size()%512 != 0 {
		t.Fatalf("size %d is not whole sectors (%v)", info.Size(), err)
	}
	f, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]string{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(h.Name, "/")] = h.Linkname + string(b)
	}
	for name, want := range map[string]string{"srv/vm/t/sub/file": "content", "srv/vm/t/link": "sub/file", "srv/vm/guest": "g"} {
		if found[name] != want {
			t.Errorf("%s: %q, want %q", name, found[name], want)
		}
	}
	if err := writePayload(disk, dir+"/guest", job.Job{}, map[string]string{"../x": dir + "/tree"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("a name that leads out: %v", err)
	}
}

func TestMissingPackages(t *testing.T) {
	got := missingPackages([]program{{"sh", "dash"}, {"no-such-program-z", "z"}, {"/no/such/file", "f"}, {"no-such-program-y", "f"}})
	if strings.Join(got, " ") != "f z" {
		t.Errorf("missing %v", got)
	}
}
