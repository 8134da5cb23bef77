package sandbox

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzMounts: a mount's path is a folder's name, which may be an agent's. What
// cannot be read is an error and never a shorter list; what the kernel writes, which
// escapes four characters and no other, is read as it is.
func FuzzMounts(f *testing.F) {
	f.Add("36 35 98:0 / /work rw,nosuid shared:1 - ext4 /dev/vda rw\n", "work")
	f.Add("36 35 98:0 / /a\\040-\\040b ro - tmpfs - ro\n1 2 0:3 / / rw master:1 shared:2 - overlay x rw\n", "a - b\n\\012\t#")
	f.Add("36 35 98:0 / /\\134012 rw -", "French\u00a0name\v\r\f\u0085\u2028\xff")
	escaped := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	f.Fuzz(func(t *testing.T, text, name string) {
		if name != "" && !strings.Contains(name, "\x00") {
			line := "36 35 0:1 / /work/" + escaped.Replace(name) + " rw,nosuid shared:1 - proc proc rw\n"
			file := filepath.Join(t.TempDir(), "mountinfo")
			if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			list, err := Mounts(file)
			if err != nil || len(list) != 1 || list[0].Path != "/work/"+name || !list[0].Pseudo() || !list[0].Shared || !slices.Equal(list[0].Options, []string{"rw", "nosuid"}) {
				t.Errorf("%q is read as %+v: %v", line, list, err)
			}
			if beneath := MountsOf(list, "/work"); len(beneath) != 2 || !beneath[0].Pseudo() {
				t.Errorf("beneath /work is not %q: %+v", name, beneath)
			}
		}
		file := filepath.Join(t.TempDir(), "mountinfo")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := Mounts(file)
		if lines := slices.Collect(strings.Lines(text)); err == nil && len(list) != len(lines) {
			t.Errorf("%q: %d mounts of %d lines", text, len(list), len(lines))
		}
		for _, m := range list {
			if m.Type == "" || m.Path == "" || len(m.Options) == 0 {
				t.Errorf("%q: %+v", text, m)
			}
			if m.Type == "proc" && !m.Pseudo() {
				t.Errorf("%q: proc is ordinary", text)
			}
		}
	})
}

// FuzzScan: whatever a folder's entries are called, what is blocked is masked,
// what is masked is blocked, and no path leads out.
func FuzzScan(f *testing.F) {
	for _, script := range []string{".env\nsrc/.ENV\nsrc/a", "a/b/c/.env/x", ".env\\x/.env", "-\n\x01\n\xff/.env", "link>.env\n.env>/etc/passwd"} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		if len(script) > 1000 {
			return
		}
		root := t.TempDir()
		plant(root, script)
		pin, err := OpenPin(root)
		if err != nil {
			t.Fatal(err)
		}
		defer pin.File.Close()
		blocked := func(_ []string, name string) (string, bool) { return ".env", strings.EqualFold(name, ".env") }
		found, err := (&Scanner{Pin: pin, Blocked: blocked}).Scan(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		masks := map[string]bool{}
		for _, m := range found.Masks {
			masks[m] = true
			if !filepath.IsLocal(m) {
				t.Errorf("%q leads out", m)
			}
		}
		_ = filepath.WalkDir(root, func(p string, e fs.DirEntry, _ error) error {
			rel, _ := filepath.Rel(root, p)
			want := strings.EqualFold(e.Name(), ".env") && e.Type()&fs.ModeSymlink == 0
			if masks[rel] != want {
				t.Errorf("%q: masked %v, want %v", rel, masks[rel], want)
			}
			if want && e.IsDir() {
				return fs.SkipDir // masked with all that is in it
			}
			return nil
		})
	})
}

// plant makes files: a line is a path, or a link and where it leads.
func plant(root, script string) {
	for line := range strings.SplitSeq(script, "\n") {
		name, link, isLink := strings.Cut(line, ">")
		if name = filepath.Join(root, filepath.Join("/", name)); strings.Count(name, "/") > 30 {
			continue
		}
		_ = os.MkdirAll(filepath.Dir(name), 0o700) // what cannot be made is left out
		if isLink {
			_ = os.Symlink(link, name)
		} else if name != root {
			_ = os.WriteFile(name, nil, 0o600)
		}
	}
}
