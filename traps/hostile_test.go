package traps

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLinks(t *testing.T) {
	for target, want := range map[string]string{
		"main.go": "", "sub/file": "", "sub/../main.go": "", "missing": "", "self": "", "sub/./../sub": "", "main.go/x": "",
		"/etc/passwd": "high", "/": "high", "..": "high", "../project/main.go": "high", "sub/../../x": "high", "missing/../../x": "high",
		"here/../x":        "high", // here leads to the folder itself
		"away/x":           "high",
		"/usr/bin/python3": "note", "/usr/../home/x": "high", "/proc/self/root": "high", "/usrx": "high",
	} {
		f := newFolder(t, "main.go", "sub/file")
		f.write("here", "->.")
		f.write("away", "->/tmp")
		f.write("self", "->self")
		r := f.after(func() { f.write("sub/deep", "->../link"); f.write("link", "->"+target) })
		var got string
		for _, finding := range r.Findings {
			if finding.Path == "link" && finding.Kind == LinkOut {
				got = finding.Severity.String()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// deep makes folders within folders.
func deep(t *testing.T, f folder, name string, levels int) {
	t.Helper()
	at, err := unix.Open(f.dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	f.must(err)
	for range levels {
		f.must(unix.Mkdirat(at, name, 0o755))
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		f.must(err)
		unix.Close(at)
		at = next
	}
	unix.Close(at)
}

func TestDeep(t *testing.T) {
	for _, c := range []struct {
		name   string
		levels int
	}{{strings.Repeat("d", 250), 40}, {"d", 400}} {
		f := newFolder(t)
		r := f.after(func() { deep(t, f, c.name, c.levels) })
		if len(r.Findings) != 1 || r.Findings[0].Kind != Unseen || r.Findings[0].Severity != High || len(r.Findings[0].Path) > 4096 {
			t.Errorf("%d levels of %.5s: %v", c.levels, c.name, r)
		}
		expect(t, f.after(func() {})) // it was there before
	}
}

func TestUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs a plain user: root reads everything")
	}
	f := newFolder(t, "sub/file")
	closeSub := func() { f.must(os.Chmod(f.path("sub"), 0)) }
	t.Cleanup(func() { os.Chmod(f.path("sub"), 0o755) })
	expect(t, f.after(closeSub), "high new unseen sub")
	expect(t, f.after(closeSub))
}

// TestMany: a flood is cut and said to be, and its loudest part is named.
func TestMany(t *testing.T) {
	f := newFolder(t)
	r := f.after(func() {
		dir := f.path("flood")
		f.must(os.Mkdir(dir, 0o755))
		for i := range 2_000 {
			f.must(os.Symlink("/etc", dir+"/"+strconv.Itoa(i)))
		}
		f.write(".envrc", "x")
		f.write("out", "->/root")
	})
	if len(r.Findings) != 1+maxOfKind || r.More[LinkOut] != 2_001-maxOfKind || r.Cut != "" {
		t.Errorf("%d findings, %v more, cut: %q", len(r.Findings), r.More, r.Cut)
	}
	if r.Findings[0].Path != ".envrc" || r.Findings[1].Path != "out" {
		t.Errorf("first: %v", r.Findings[:2])
	}
	for name, b := range map[string]bounds{"entries": {1000, usual.stamps}, "stamps": {usual.entries, 100_000}} {
		stamps, _, err := walk(context.Background(), f.open(), b, func(key, stamp) bool { return false })
		var cut errCut
		if !errors.As(err, &cut) || len(stamps) > 2000 {
			t.Errorf("%s: %d stamps, %v", name, len(stamps), err)
		}
	}
}

// TestSwap: a folder that turns into a link while it is walked leads nowhere.
func TestSwap(t *testing.T) {
	outside := newFolder(t, ".bashrc", "sub/.bashrc")
	f := newFolder(t, "swap/file", "swap/sub/file", "CLAUDE.md")
	f.write("link", "->"+outside.dir)
	dir := f.open()
	before, err := Take(context.Background(), dir)
	f.must(err)
	done := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, f.path("swap"), unix.AT_FDCWD, f.path("link"), unix.RENAME_EXCHANGE)
			}
		}
	})
	for range 2000 {
		r, err := Changes(context.Background(), before, dir)
		f.must(err)
		for _, finding := range r.Findings {
			if finding.Kind != LinkOut && finding.Kind != Unseen {
				t.Fatalf("it went out of the folder: %+v", finding)
			}
		}
	}
	close(done)
	swapping.Wait()
}

// TestOpensNothing: pipes are not opened, which could wait for ever, nor is
// what is merely called like a trap.
func TestOpensNothing(t *testing.T) {
	f := newFolder(t)
	for _, name := range []string{"Makefile", "pipe", ".envrc"} {
		f.must(unix.Mkfifo(f.path(name), 0o666))
	}
	f.write("CLAUDE.md", "->pipe")
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	f.must(err)
	defer unix.Close(watch)
	for _, name := range []string{"Makefile", "pipe", ".envrc"} {
		_, err = unix.InotifyAddWatch(watch, f.path(name), unix.IN_OPEN)
		f.must(err)
	}
	expect(t, f.after(func() {}))
	if n, err := unix.Read(watch, make([]byte, 4096)); err != unix.EAGAIN {
		t.Errorf("a pipe was opened: %d bytes of events, %v", n, err)
	}
}

func TestHostileNames(t *testing.T) {
	f := newFolder(t)
	bad := []string{"-rf", "a\nb", "a\x1b]0;t\x07", "\u202etxt.exe", "\xff\xfe", "$(id)", "`id`", "a\u200bb", "a\u2028b", "a\x7f", "a\u0085b", "\u00ad"}
	r := f.after(func() {
		for _, name := range bad {
			f.must(os.WriteFile(filepath.Join(f.dir, name), nil, 0o644))
		}
		f.must(os.MkdirAll(f.path("--help/\r"), 0o755))
	})
	if len(r.Findings) != len(bad)+2 {
		t.Errorf("%q", lines(r))
	}
	for _, finding := range r.Findings {
		if finding.Kind != HostileName || finding.Severity != High {
			t.Errorf("%+v", finding)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{"Makefile", ".ENVRC", "-x", "a\x1b", "\u202e", "\xff", "x.csproj", ".", "a.", "hooks", "漢字", "👩‍🚀", "$(x)"} {
		f.Add("parent", name)
		f.Add(name, name)
	}
	plain, git := newIndex(rules), newIndex(gitRules)
	f.Fuzz(func(t *testing.T, parent, name string) {
		if !hostile(name) {
			for i, r := range name {
				if r < ' ' || r == 0x7f || r == '\ufffd' && name[i] != "\ufffd"[0] || r >= 0x80 && r < 0xa0 ||
					r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == '\n' || i == 0 && r == '-' || r == '`' {
					t.Errorf("%q passes", name)
				}
			}
		}
		w := &walker{plain: plain, git: git}
		found, _ := w.match(place{name: parent}, strings.ToLower(name))
		upper, _ := w.match(place{name: parent}, strings.ToLower(strings.ToUpper(name)))
		if found != upper && isASCII(name) {
			t.Errorf("%q depends on case", name)
		}
		inside, _ := w.match(place{name: parent, git: 3, hidden: true}, strings.ToLower(name))
		if inside != nil && !strings.EqualFold(name, ".git") {
			t.Errorf("%q deep inside .git is a %s", name, inside.kind)
		}
		packaged, _ := w.match(place{name: parent, packages: true}, strings.ToLower(name))
		if packaged != nil && ordinary[packaged.kind] {
			t.Errorf("%q in a package is a %s", name, packaged.kind)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// BenchmarkWalk looks at 100,000 files in 1,000 folders.
func BenchmarkWalk(b *testing.B) {
	root := b.TempDir()
	for i := range 1000 {
		dir := filepath.Join(root, strconv.Itoa(i%30), "package"+strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 99 {
			if err := os.WriteFile(dir+"/source"+strconv.Itoa(j)+".go", nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(dir+"/Makefile", []byte("all:\n"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	dir, err := os.Open(root)
	if err != nil {
		b.Fatal(err)
	}
	defer dir.Close()
	b.Run("before", func(b *testing.B) {
		for b.Loop() {
			if _, err := Take(context.Background(), dir); err != nil {
				b.Fatal(err)
			}
		}
	})
	before, err := Take(context.Background(), dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("after", func(b *testing.B) {
		for b.Loop() {
			if r, err := Changes(context.Background(), before, dir); err != nil || len(r.Findings) != 0 {
				b.Fatal(r, err)
			}
		}
	})
}
