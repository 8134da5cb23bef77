package skill

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

const front = "---\nname: greet\ndescription: Greets people. Use it when somebody comes in.\n---\n"

const capabilities = "version: 1\nname: greet\nnetwork: [api.example.com]\n"

// folder is a skill in memory: pairs of a name and a text.
func folder(pairs ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		files[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1]), Mode: 0o644}
	}
	return files
}

func TestRead(t *testing.T) {
	files := folder(Main, front+"# Greet\n\nSay hello.\n", "references/words.md", "hello\n", CapabilitiesFile, capabilities)
	files["scripts/greet"] = &fstest.MapFile{Data: []byte("#!/bin/sh\n"), Mode: 0o755}
	s, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "greet" || s.Kind != Knowledge || s.Body != "# Greet\n\nSay hello.\n" || s.Capabilities.Network[0].Host != "api.example.com" ||
		len(s.Files) != 4 || !s.Files[3].Executable || s.Files[2].Executable {
		t.Errorf("%+v", s)
	}
	if err := s.Called("greet"); err != nil {
		t.Error(err)
	}
	if err := s.Called("greeter"); err == nil {
		t.Error("a folder with another name")
	}
}

// TestDigest: the digest is of names, contents, programs and folders, and is
// pinned here: a lock of today must hold tomorrow.
func TestDigest(t *testing.T) {
	base := func() fstest.MapFS { return folder(Main, front, "a/b.md", "x") }
	digest := func(f fs.FS) string {
		s, err := Read(f)
		if err != nil {
			t.Fatal(err)
		}
		return s.Digest
	}
	first := digest(base())
	if again := digest(base()); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	const pinned = "sha256:7039ef2b94b1c69ce8a15cf490cfd3b75a5ee6d87d51b5a0f4227554238d019c"
	if first != pinned {
		t.Errorf("the digest is %s", first)
	}
	for name, change := range map[string]func(fstest.MapFS){
		"content":    func(f fstest.MapFS) { f["a/b.md"].Data = []byte("y") },
		"name":       func(f fstest.MapFS) { f["a/c.md"] = f["a/b.md"]; delete(f, "a/b.md") },
		"program":    func(f fstest.MapFS) { f["a/b.md"].Mode = 0o755 },
		"one more":   func(f fstest.MapFS) { f["a/c.md"] = f["a/b.md"] },
		"one less":   func(f fstest.MapFS) { delete(f, "a/b.md") },
		"a folder":   func(f fstest.MapFS) { f["empty"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755} },
		"moved":      func(f fstest.MapFS) { f["b.md"] = f["a/b.md"]; delete(f, "a/b.md") },
		"body":       func(f fstest.MapFS) { f[Main].Data = []byte(front + "\n") },
		"capability": func(f fstest.MapFS) { f[CapabilitiesFile] = &fstest.MapFile{Data: []byte(capabilities)} },
	} {
		f := base()
		change(f)
		if digest(f) == first {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}

func TestKinds(t *testing.T) {
	for file, want := range map[string]Kind{"tool.yaml": Tool, "harness.yaml": Harness, "channel.yaml": Channel, "other.yaml": Knowledge} {
		s, err := Read(folder(Main, front, file, "x: 1\n"))
		if err != nil || s.Kind != want {
			t.Errorf("%s: %v, %v", file, s, err)
		}
	}
}

func with(lines string) string {
	return "---\nname: greet\ndescription: Greets.\n" + lines + "---\n"
}

func TestReadRefuses(t *testing.T) {
	long := strings.Repeat("a", 65)
	for name, c := range map[string]struct {
		files fs.FS
		want  string
	}{
		"nothing":             {folder(), "there is no SKILL.md"},
		"lower-case":          {folder("skill.md", front), "could be mistaken for SKILL.md"},
		"yml":                 {folder(Main, front, "capabilities.yml", capabilities), "could be mistaken for capabilities.yaml"},
		"Tool.yaml":           {folder(Main, front, "Tool.yaml", "a: 1"), "could be mistaken for tool.yaml"},
		"no front":            {folder(Main, "# Greet\n"), "expected front matter"},
		"no end":              {folder(Main, "---\nname: greet\ndescription: x\n"), "expected front matter"},
		"later":               {folder(Main, "\n"+front), "expected front matter"},
		"empty front":         {folder(Main, "---\n---\n"), "SKILL.md:1:1: the file is empty"},
		"binary":              {folder(Main, front+"\x00"), "binary byte"},
		"not UTF-8":           {folder(Main, front+"\xff"), "binary byte"},
		"unknown key":         {folder(Main, with("version: x\n")), `SKILL.md:4:1: unknown key: "version"`},
		"hooks":               {folder(Main, with("hooks: {a: b}\n")), `unknown key: "hooks"`},
		"twice":               {folder(Main, with("name: greet\n")), "is there twice"},
		"anchor":              {folder(Main, with("license: &a x\n")), "anchors and aliases"},
		"tag":                 {folder(Main, with("license: !!str x\n")), "tags are refused"},
		"no name":             {folder(Main, "---\ndescription: x\n---\n"), `"name" is missing`},
		"no description":      {folder(Main, "---\nname: greet\n---\n"), `"description" is missing`},
		"name upper":          {folder(Main, "---\nname: Greet\ndescription: x\n---\n"), "lower-case"},
		"name long":           {folder(Main, "---\nname: "+long+"\ndescription: x\n---\n"), "at most 64"},
		"name hyphens":        {folder(Main, "---\nname: a--b\ndescription: x\n---\n"), "single hyphens"},
		"name dots":           {folder(Main, "---\nname: ..\ndescription: x\n---\n"), "lower-case"},
		"name other letters":  {folder(Main, "---\nname: grеet\ndescription: x\n---\n"), "lower-case"},
		"description blank":   {folder(Main, "---\nname: greet\ndescription: \" \"\n---\n"), "at most 1024"},
		"description long":    {folder(Main, "---\nname: greet\ndescription: "+strings.Repeat("é", 1025)+"\n---\n"), "at most 1024"},
		"escape":              {folder(Main, "---\nname: greet\ndescription: \"a\\e[31mred\"\n---\n"), "control character U+001B"},
		"escape, C1":          {folder(Main, "---\nname: greet\ndescription: \"a\\x9b31mred\"\n---\n"), "control character U+009B"},
		"escape, needs":       {folder(Main, with("compatibility: \"a\\0\"\n")), "compatibility: expected a text without control characters"},
		"escape, license":     {folder(Main, with("license: \"a\\b\"\n")), "license: expected a text without"},
		"escape, tools":       {folder(Main, with("allowed-tools: \"a\\r\"\n")), "allowed-tools: expected a text without"},
		"escape, metadata":    {folder(Main, with("metadata: {a: \"\\e\"}\n")), "metadata: expected a text without"},
		"escape, a key":       {folder(Main, with("metadata: {\"a\\e\": b}\n")), "metadata: expected a text without"},
		"compatibility":       {folder(Main, with("compatibility: "+strings.Repeat("a", 501)+"\n")), "at most 500"},
		"allowed-tools list":  {folder(Main, with("allowed-tools: [Bash]\n")), "expected text"},
		"metadata list":       {folder(Main, with("metadata: [a]\n")), "expected keys and values"},
		"metadata number":     {folder(Main, with("metadata: {version: 1.0}\n")), "expected text"},
		"two kinds":           {folder(Main, front, "tool.yaml", "a: 1", "harness.yaml", "a: 1"), "more than one of"},
		"capabilities":        {folder(Main, front, CapabilitiesFile, "version: 1\nname: greet\nnetwrk: []\n"), "capabilities.yaml:3:1"},
		"capabilities' name":  {folder(Main, front, CapabilitiesFile, "version: 1\nname: other\n"), "its capabilities"},
		"capabilities preset": {folder(Main, front, CapabilitiesFile, "version: 1\nname: greet\nnetwork: [{preset: nowhere}]\n"), "no preset"},
		"digest without":      {folder(Main, with("metadata: {nacre-capabilities: \"sha256:00\"}\n")), "which is not there"},
		"digest differs":      {folder(Main, with("metadata: {nacre-capabilities: \"sha256:00\"}\n"), CapabilitiesFile, capabilities), "metadata says"},
		"case":                {folder(Main, front, "a/B.md", "x", "a/b.md", "y"), "differ only in case"},
		"case of folders":     {folder(Main, front, "A/x", "x", "a/y", "y"), "differ only in case"},
		"name of a file":      {folder(Main, front, "a\u202eb", "x"), "printable ASCII"},
		"line in a name":      {folder(Main, front, "a\nb", "x"), "printable ASCII"},
		"backslash":           {folder(Main, front, `..\x`, "x"), "printable ASCII"},
		"space at the end":    {folder(Main, front, "a ", "x"), "printable ASCII"},
		"deep":                {folder(Main, front, strings.Repeat("d/", 16)+"x", "x"), "deeper than 16"},
		"long name":           {folder(Main, front, strings.Repeat("x", 256), "x"), "printable ASCII"},
		"large main":          {folder(Main, front+strings.Repeat("x", MaxMain)), "larger than 256 KiB"},
		"large":               {folder(Main, front, "a", strings.Repeat("x", MaxTotal)), "larger than 64 MiB"},
		"many":                {many(), "more than 4096"},
		"link":                {mode(fs.ModeSymlink), "is a link"},
		"device":              {mode(fs.ModeDevice), "a device"},
		"pipe":                {mode(fs.ModeNamedPipe), "a device, a socket or a pipe"},
		"setuid":              {mode(fs.ModeSetuid | 0o755), "setuid"},
		"setgid":              {mode(fs.ModeSetgid | 0o755), "setuid or setgid"},
		"main is a folder":    {folder(Main+"/x", "x"), "there is no SKILL.md"},
	} {
		_, err := Read(c.files)
		kind := fault.KindOf(err)
		if err == nil || kind != fault.Invalid && kind != fault.Tampered || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func many() fs.FS {
	files := folder(Main, front)
	for i := range MaxFiles {
		files[fmt.Sprint("f", i)] = &fstest.MapFile{}
	}
	return files
}

func mode(m fs.FileMode) fs.FS {
	files := folder(Main, front, "x", "x")
	files["x"].Mode = m
	return files
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a skill to the disk.
func write(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "greet")
	must(t, os.Mkdir(dir, 0o755))
	for i := 0; i < len(pairs); i += 2 {
		name := filepath.Join(dir, pairs[i])
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, []byte(pairs[i+1]), 0o644))
	}
	return dir
}

func TestOpen(t *testing.T) {
	dir := write(t, Main, front, "a/b.md", "x")
	s, err := Open(dir)
	must(t, err)
	inMemory, err := Read(folder(Main, front, "a/b.md", "x"))
	must(t, err)
	if s.Digest != inMemory.Digest {
		t.Errorf("%s on the disk, %s in memory", s.Digest, inMemory.Digest)
	}
	other := filepath.Join(filepath.Dir(dir), "other")
	must(t, os.Rename(dir, other))
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), `its folder is "other"`) {
		t.Errorf("another name: %v", err)
	}
	must(t, os.Symlink("other", dir))
	if _, err := Open(dir); err == nil {
		t.Error("a link to a skill was followed")
	}
	if _, err := Open(dir + "-nowhere"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("nothing there: %v", err)
	}
}

// TestOpenRefuses: what a folder on a disk can hold besides files. None of it
// is followed or waited for.
func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"a link out":       {func(p string) error { return os.Symlink("/etc/passwd", p) }, "is a link"},
		"a link within":    {func(p string) error { return os.Symlink(Main, p) }, "is a link"},
		"a link to itself": {func(p string) error { return os.Symlink(filepath.Base(p), p) }, "is a link"},
		"a pipe":           {func(p string) error { return unix.Mkfifo(p, 0o644) }, "a device, a socket or a pipe"},
		"a socket":         {func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o644, 0) }, "a device, a socket or a pipe"},
		"a setuid file": {func(p string) error {
			if err := os.WriteFile(p, nil, 0o755); err != nil {
				return err
			}
			return os.Chmod(p, 0o755|fs.ModeSetuid)
		}, "setuid"},
		"a huge file": {func(p string) error {
			if err := os.WriteFile(p, nil, 0o644); err != nil {
				return err
			}
			return os.Truncate(p, 1<<40)
		}, "larger than 64 MiB"},
		"a closed file": {func(p string) error {
			if os.Getuid() == 0 { // who may read all
				return os.Symlink("x", p)
			}
			return os.WriteFile(p, nil, 0)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, Main, front)
			must(t, c.make(filepath.Join(dir, "x")))
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	t.Run("SKILL.md of 1 GiB", func(t *testing.T) {
		dir := write(t, Main, front)
		must(t, os.Truncate(filepath.Join(dir, Main), 1<<30))
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "larger than 256 KiB") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("SKILL.md is a link", func(t *testing.T) {
		dir := write(t, "real.md", front)
		must(t, os.Symlink("real.md", filepath.Join(dir, Main)))
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "is a link") {
			t.Errorf("got %v", err)
		}
	})
}

// TestBeneath: a name that became a link after it was listed is not followed.
func TestBeneath(t *testing.T) {
	dir := write(t, Main, front, "d/x", "x")
	b, err := Beneath(dir)
	must(t, err)
	defer b.Close()
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	must(t, os.Symlink("/etc", filepath.Join(dir, "out")))
	for _, name := range []string{"link", "out/passwd", "../greet/" + Main, "/etc/passwd", ""} {
		if f, err := b.Open(name); err == nil {
			t.Errorf("%q was opened", name)
			f.Close()
		}
	}
	if f, err := b.Open("d/x"); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

func FuzzMain(f *testing.F) {
	for _, s := range []string{front, with("metadata: {a: b}\nlicense: MIT\n"), "---\r\nname: a\r\ndescription: b\r\n---\r\nbody", "---\n---\n", "---\nname: &a x\n---", front + "---\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		front, body, err := parseMain(Main, text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if CheckName(front.Name) != nil || strings.TrimSpace(front.Description) == "" || !strings.HasSuffix(string(text), body) {
			t.Fatalf("%+v %q", front, body)
		}
	})
}

func FuzzSkillPath(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a//b", "/a", "a/./b", "a\x00", "a b", " a", `a\b`, "a\u200b", "CON", "a/.git/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckPath(name) != nil {
			return
		}
		if strings.ContainsAny(name, "\\\x00\n\x1b:") || !filepath.IsLocal(name) || filepath.Clean(name) != name {
			t.Fatalf("%q", name)
		}
	})
}
