package store

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/skill"
	"nacre/skill/lock"
)

const front = "---\nname: greet\ndescription: Greets people.\n---\nSay hello.\n"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "skills"))
	must(t, err)
	return s
}

func stage(t *testing.T, s *Store) *Staged {
	t.Helper()
	st, err := s.Stage()
	must(t, err)
	t.Cleanup(st.Discard)
	return st
}

// member is one thing of an archive.
type member struct {
	name, text, link string
	kind             byte
	mode             int64
}

func tarOf(t *testing.T, compressed bool, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	var out io.Writer = &b
	var z *gzip.Writer
	if compressed {
		z = gzip.NewWriter(&b)
		out = z
	}
	w := tar.NewWriter(out)
	for _, m := range members {
		if m.kind == 0 {
			m.kind = tar.TypeReg
		}
		h := &tar.Header{Typeflag: m.kind, Name: m.name, Linkname: m.link, Mode: m.mode, Size: int64(len(m.text))}
		if m.kind == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: m.kind, PAXRecords: map[string]string{"comment": "x"}}
		}
		must(t, w.WriteHeader(h))
		if m.text != "" {
			_, err := io.WriteString(w, m.text)
			must(t, err)
		}
	}
	must(t, w.Close())
	if z != nil {
		must(t, z.Close())
	}
	file := filepath.Join(t.TempDir(), "a.tar")
	must(t, os.WriteFile(file, b.Bytes(), 0o600))
	return file
}

func zipOf(t *testing.T, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		h.SetMode(fs.FileMode(m.mode&0o777) | 0o400)
		if m.kind == tar.TypeSymlink {
			h.SetMode(fs.ModeSymlink | 0o777)
			m.text = m.link
		}
		if m.mode&0o4000 != 0 {
			h.SetMode(fs.ModeSetuid | 0o755)
		}
		f, err := w.CreateHeader(h)
		must(t, err)
		_, err = io.WriteString(f, m.text)
		must(t, err)
	}
	must(t, w.Close())
	file := filepath.Join(t.TempDir(), "a.zip")
	must(t, os.WriteFile(file, b.Bytes(), 0o600))
	return file
}

// TestWays: the same skill by every way has the same digest, is kept under it,
// and is what its entry says when it is read again.
func TestWays(t *testing.T) {
	s := open(t)
	members := []member{{name: "greet/SKILL.md", text: front}, {name: "greet/bin/greet", text: "#!/bin/sh\n", mode: 0o755}}
	top := []member{{name: "./SKILL.md", text: front}, {name: "./bin/greet", text: "#!/bin/sh\n", mode: 0o700}, {name: "./.git/config", text: "x"}}
	deep := append([]member{{kind: tar.TypeXGlobalHeader}, {name: "repo/other/SKILL.md", text: "x"}, {name: "repo/link", kind: tar.TypeSymlink, link: "/"}},
		member{name: "repo/skills/greet/SKILL.md", text: front}, member{name: "repo/skills/greet/bin/greet", text: "#!/bin/sh\n", mode: 0o755})
	folder := fstest.MapFS{"SKILL.md": {Data: []byte(front), Mode: 0o600}, "bin/greet": {Data: []byte("#!/bin/sh\n"), Mode: 0o711}, ".git/HEAD": {Data: []byte("x")}}
	var digests []string
	for name, fill := range map[string]func(*Staged) error{
		"tar":        func(st *Staged) error { return st.Unpack(tarOf(t, false, members...), "") },
		"tar.gz":     func(st *Staged) error { return st.Unpack(tarOf(t, true, members...), "") },
		"zip":        func(st *Staged) error { return st.Unpack(zipOf(t, members...), "") },
		"top":        func(st *Staged) error { return st.Unpack(tarOf(t, true, top...), "") },
		"path":       func(st *Staged) error { return st.Unpack(tarOf(t, true, deep...), "repo/skills/greet") },
		"folder":     func(st *Staged) error { return st.Copy(folder) },
		"path above": func(st *Staged) error { return st.Unpack(tarOf(t, false, deep...), "repo/skills") },
	} {
		st := stage(t, s)
		if err := fill(st); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := st.Read("")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		must(t, st.Keep())
		digests = append(digests, got.Digest)
		e := lock.Entry{Name: "greet", Kind: skill.Knowledge, Digest: got.Digest}
		if again, err := s.Verify(e); err != nil || again.Digest != digests[0] {
			t.Errorf("%s: %v, %v", name, again, err)
		}
		var packed bytes.Buffer
		kept, err := skill.Beneath(s.Folder(e))
		must(t, err)
		must(t, Pack(&packed, got, kept))
		kept.Close()
		st = stage(t, s)
		must(t, st.UnpackTar(&packed, ""))
		if again, err := st.Read("greet"); err != nil || again.Digest != digests[0] {
			t.Errorf("%s: packed and unpacked: %v, %v", name, again, err)
		}
	}
}

// TestHostileArchives: whatever an archive holds, nothing is written outside
// the folder under way, and nothing of it is kept.
func TestHostileArchives(t *testing.T) {
	main := member{name: "SKILL.md", text: front}
	bomb := strings.Repeat("\x00", small+1)
	for name, c := range map[string]struct {
		members []member
		want    string
	}{
		"symlink in the archive": {[]member{main, {name: "x", kind: tar.TypeSymlink, link: "/etc/passwd"}}, "is a link"},
		"link to a folder":       {[]member{{name: "d", kind: tar.TypeSymlink, link: "/tmp"}, {name: "d/x", text: "x"}, main}, "is a link"},
		"up and out":             {[]member{main, {name: "../x", text: "x"}}, "leads out"},
		"up within":              {[]member{main, {name: "a/../x", text: "x"}}, "leads out"},
		"absolute":               {[]member{main, {name: "/tmp/x", text: "x"}}, "leads out"},
		"backslashes":            {[]member{main, {name: `..\..\x`, text: "x"}}, "printable ASCII"},
		"setuid":                 {[]member{main, {name: "x", text: "x", mode: 0o4755}}, "setuid"},
		"twice":                  {[]member{main, {name: "x", text: "1"}, {name: "x", text: "2"}}, "is there twice"},
		"SKILL.md twice":         {[]member{main, {name: "./SKILL.md", text: "x"}}, "is there twice"},
		"file and folder":        {[]member{main, {name: "x", text: "1"}, {name: "x/y", text: "2"}}, `"x/y"`},
		"names by case":          {[]member{main, {name: "Skill.md", text: front}}, "differ only in case"},
		"other names by case":    {[]member{main, {name: "a/X", text: "1"}, {name: "A/y", text: "2"}}, "differ only in case"},
		"name mismatch":          {[]member{{name: "welcome/SKILL.md", text: front}}, `its folder is "welcome"`},
		"a bomb":                 {[]member{main, {name: "x", text: bomb}}, "larger than 64 MiB"},
		"a large SKILL.md":       {[]member{{name: "SKILL.md", text: front + bomb[:skill.MaxMain]}}, "larger than 256 KiB"},
		"two skills":             {[]member{{name: "a/SKILL.md", text: front}, {name: "b/SKILL.md", text: front}}, "no SKILL.md at its top"},
		"none":                   {[]member{{name: "README.md", text: "x"}}, "there is no SKILL.md"},
		"hidden in a name":       {[]member{main, {name: "a\u202egnp.sh", text: "x"}}, "printable ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, file := range []string{tarOf(t, true, c.members...), zipOf(t, c.members...)} {
				s := open(t)
				st := stage(t, s)
				st.left = small
				err := st.Unpack(file, "")
				if err == nil {
					_, err = st.Read("")
				}
				if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: got %v, want %q", filepath.Ext(file), err, c.want)
				}
				st.Discard()
				empty(t, s)
			}
		})
	}
	for name, m := range map[string]member{"hard link": {name: "x", kind: tar.TypeLink, link: "SKILL.md"}, "device": {name: "x", kind: tar.TypeChar},
		"pipe": {name: "x", kind: tar.TypeFifo}, "of another kind": {name: "x", kind: 'Z'}, "contiguous": {name: "x", kind: tar.TypeCont}} {
		st := stage(t, open(t))
		if err := st.Unpack(tarOf(t, false, main, m), ""); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "plain files and folders only") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// small is a bound that is quickly reached.
const small = 1 << 20

// empty tells whether a store and what is around it hold nothing.
func empty(t *testing.T, s *Store) {
	t.Helper()
	for _, dir := range []string{s.dir, filepath.Dir(s.dir)} {
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			if filepath.Join(dir, e.Name()) != s.dir {
				t.Errorf("%s holds %s", dir, e.Name())
			}
		}
	}
}

// TestBomb: a stream that unpacks to far more than it is long ends early.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	const each = 1 << 20
	for _, name := range []string{"other/a", "other/b", "other/c", "other/d", "other/e", "other/f"} { // outside of what is asked for
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: each}))
		_, err := io.CopyN(w, zeros{}, each)
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	st := stage(t, open(t))
	if st.left != skill.MaxTotal || st.most != MaxArchive {
		t.Errorf("the bounds are %d and %d", st.left, st.most)
	}
	st.most = 5 << 20
	if err := st.UnpackTar(&b, "greet"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "unpacks to more than it may") {
		t.Errorf("got %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBroken(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"short": "x", "gzip": "\x1f\x8bxxxx", "zip": "PK\x03\x04xxxx", "text": strings.Repeat("text ", 300)} {
		file := filepath.Join(dir, name)
		must(t, os.WriteFile(file, []byte(text), 0o600))
		if err := stage(t, open(t)).Unpack(file, ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	must(t, unix.Mkfifo(pipe, 0o600))
	for _, file := range []string{pipe, dir} {
		if err := stage(t, open(t)).Unpack(file, ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := stage(t, open(t)).Unpack(dir+"/none", ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}

// TestChangedAfterLock: every change on the disk after the lock was written is
// found when the skill is used.
func TestChangedAfterLock(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"content":  func(d string) error { return os.WriteFile(d+"/SKILL.md", []byte(front+"and more"), 0o644) },
		"one more": func(d string) error { return os.WriteFile(d+"/more.md", nil, 0o644) },
		"one less": func(d string) error { return os.Remove(d + "/a.md") },
		"program":  func(d string) error { return os.Chmod(d+"/a.md", 0o755) },
		"link":     func(d string) error { return os.Symlink("/etc", d+"/etc") },
		"a folder": func(d string) error { return os.Mkdir(d+"/empty", 0o755) },
		"a kind":   func(d string) error { return os.WriteFile(d+"/tool.yaml", []byte("x: 1"), 0o644) },
	} {
		s := open(t)
		st := stage(t, s)
		must(t, st.Copy(fstest.MapFS{"SKILL.md": {Data: []byte(front)}, "a.md": {Data: []byte("a")}}))
		got, err := st.Read("")
		must(t, err)
		must(t, st.Keep())
		e := lock.Entry{Name: "greet", Kind: skill.Knowledge, Digest: got.Digest}
		if _, err := s.Verify(e); err != nil {
			t.Fatal(err)
		}
		must(t, change(s.Folder(e)))
		if _, err := s.Verify(e); fault.KindOf(err) != fault.Tampered {
			t.Errorf("%s: %v", name, err)
		}
		must(t, s.Remove(e.Digest))
		if _, err := s.Verify(e); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: removed: %v", name, err)
		}
		must(t, s.Remove(e.Digest))
	}
}

// TestSweep: what a killed process left is taken away, what another fills is not.
func TestSweep(t *testing.T) {
	s := open(t)
	alive := stage(t, s)
	dead := filepath.Join(s.dir, temporary+"dead")
	must(t, os.MkdirAll(dead+"/in", 0o700))
	if _, err := Open(s.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); err == nil {
		t.Error("the dead one is still there")
	}
	if _, err := os.Stat(alive.held.Name()); err != nil {
		t.Error("the one that is filled is gone")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x1f\x8b"), "")
	f.Add([]byte("PK\x03\x04"), "a/b")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "SKILL.md", Size: int64(len(front))}); err != nil {
		f.Fatal(err)
	}
	io.WriteString(w, front)
	w.Close()
	f.Add(b.Bytes(), "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, sub string) {
		if CheckSub(sub) != nil {
			return
		}
		s, err := Open(filepath.Join(dir, "skills"))
		must(t, err)
		for _, kind := range []func(*Staged) error{
			func(st *Staged) error { return st.UnpackTar(bytes.NewReader(data), sub) },
			func(st *Staged) error { return st.zip(bytes.NewReader(data), int64(len(data)), sub) },
		} {
			st, err := s.Stage()
			must(t, err)
			if err := kind(st); err == nil {
				_, err = st.Read("")
				if err == nil {
					err = st.Keep()
				}
				if kind := fault.KindOf(err); err != nil && kind != fault.Invalid && kind != fault.Tampered {
					t.Fatal(err)
				}
			} else if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			st.Discard()
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%v %v", entries, err)
		}
	})
}
