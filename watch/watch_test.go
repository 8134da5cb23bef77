package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
	"nacre/policy"
	"nacre/sandbox"
)

// What watching does in a running sandbox is tested in engine/native.

func scanner(t testing.TB, dir string) *sandbox.Scanner {
	t.Helper()
	blocked, err := policy.NewBlocked(policy.BuiltIn())
	if err != nil {
		t.Fatal(err)
	}
	pin, err := sandbox.OpenPin(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pin.File.Close() })
	return &sandbox.Scanner{Pin: pin, Blocked: blocked.MatchEntry}
}

// TestHeld: whatever keeps a file within reach is seen.
func TestHeld(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	sees := func() bool {
		paths, err := held("/proc/self")
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(paths, name)
	}
	if sees() {
		t.Fatal("seen before it was opened")
	}
	for what, flags := range map[string]int{"a descriptor": unix.O_RDONLY, "a descriptor for its path": unix.O_PATH} {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !sees() {
			t.Errorf("%s is not seen", what)
		}
		unix.Close(fd)
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	page, err := unix.Mmap(fd, 0, 7, unix.PROT_READ, unix.MAP_PRIVATE)
	unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	if !sees() {
		t.Error("a mapping is not seen")
	}
	if err := unix.Munmap(page); err != nil || sees() {
		t.Errorf("%v; or still seen", err)
	}
	if _, err := held("/proc/0"); err == nil {
		t.Error("what cannot be seen is no error")
	}
}

// TestSeveralPlaces: a folder that is granted twice is one watch and two places;
// one that is renamed stays one place.
func TestSeveralPlaces(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := New(false)
	defer func() { w.Close()() }()
	whole, part := &Tree{Scanner: scanner(t, dir)}, &Tree{Scanner: scanner(t, dir+"/a")}
	for _, tree := range []*Tree{whole, part} {
		if _, err := w.Scan(context.Background(), tree); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(dir+"/a/b", dir+"/c"); err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Scanner.Entry(context.Background(), "", "c"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, places := range w.at {
		for _, p := range places {
			got = append(got, filepath.Base(p.tree.Scanner.Pin.Path)+":"+p.rel)
		}
	}
	slices.Sort(got)
	want := []string{filepath.Base(dir) + ":", filepath.Base(dir) + ":a", filepath.Base(dir) + ":c", "a:", "a:b"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestDeepAndMany: what an agent can make any number of, is remembered up to a
// bound, and leaves the owner's own watches.
func TestDeepAndMany(t *testing.T) {
	dir := t.TempDir()
	at, err := unix.Open(dir, unix.O_PATH, 0)
	for range 200 { // 50 KB deep
		name := strings.Repeat("d", 250)
		if err == nil {
			err = unix.Mkdirat(at, name, 0o755)
		}
		if err == nil {
			var below int
			below, err = unix.Openat(at, name, unix.O_PATH, 0)
			unix.Close(at)
			at = below
		}
	}
	unix.Close(at)
	if err != nil {
		t.Fatal(err)
	}
	w := New(false)
	found, err := w.Scan(context.Background(), &Tree{Scanner: scanner(t, dir), Inside: "/work", Write: true})
	if err != nil || len(found.Masks) != 1 || len(w.at) > 20 || w.names > 40<<10 {
		t.Errorf("%d watched, %d bytes of names, masks %.40q, %v", len(w.at), w.names, found.Masks, err)
	}
	w.Close()()
	w = New(false)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.share = 10
	if _, err := w.Scan(context.Background(), &Tree{Scanner: scanner(t, dir), Inside: "/work"}); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("over the share: %v", err)
	}
	w.Close()()
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if most, _ := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || share() > most/4*3 || share() < 1 {
		t.Errorf("a share of %d of %d, %v", share(), most, err)
	}
}

// TestHurry: while there is much to look at, the agent stands still, or is ended.
func TestHurry(t *testing.T) {
	dir, v2, v1 := t.TempDir(), t.TempDir(), t.TempDir()
	for i := range much + 10 {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{v2 + "/cgroup.events": "frozen 1\n", v1 + "/freezer.state": "THAWED\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range []string{v2, v1, ""} {
		tree := &Tree{Scanner: scanner(t, dir), Inside: "/work"}
		w := Watcher{trees: []*Tree{tree}, box: Options{Freezer: group}, begun: true, heard: time.Now().Add(-2 * long)}
		w.hurry(tree)
		err := w.cover(tree, nil, func() (sandbox.Findings, error) { return tree.Scanner.Scan(context.Background()) })
		if w.still != (group != "") || (err == nil) != (group != "") {
			t.Errorf("group %q: still %v, %v", group, w.still, err)
		}
	}
}

// TestWithoutInotify: no watcher is a fault with a remedy, or accepted.
func TestWithoutInotify(t *testing.T) {
	w := New(false)
	w.fd, w.queue = -1, os.Stdin // no watch can be made, as over the limit
	_, err := w.Scan(context.Background(), &Tree{Scanner: scanner(t, t.TempDir())})
	if fault.KindOf(err) != fault.Unsupported || !strings.Contains(fault.HintOf(err), "max_user_watches") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	w = New(true) // accepted, it is recorded, or nothing begins
	w.fd, w.queue = -1, os.NewFile(1<<20, "none")
	if _, err := w.Scan(context.Background(), &Tree{Scanner: scanner(t, t.TempDir())}); err != nil {
		t.Fatal(err)
	}
	full, said := errors.New("disk full"), ""
	err = w.Start(context.Background(), Options{Record: func(kind, reason string, _ map[string]string) error { said = kind + " " + reason; return full }})
	if !errors.Is(err, full) || !strings.HasPrefix(said, "mask.unwatched granted folders cannot be watched") {
		t.Errorf("%v, %q", err, said)
	}
}

// TestHeldByALine: a name that would end a line is seen in mappings too.
func TestHeldByALine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x\ny")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 7, unix.PROT_READ, unix.MAP_PRIVATE)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(page) }()
	paths, err := held("/proc/self")
	if err != nil || !slices.Contains(paths, escaped(name)) {
		t.Errorf("%v: %q", err, paths)
	}
}

// FuzzNext: what the kernel says is taken apart as inotify(7) has it, one event after
// another, and a name ends where its field does.
func FuzzNext(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00.env"))
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff.env"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) >= unix.SizeofInotifyEvent {
			var plain unix.InotifyEvent
			if _, err := binary.Decode(b, binary.NativeEndian, &plain); err != nil {
				t.Fatal(err)
			}
			e, rest := next(b)
			taken := len(b) - len(rest)
			if taken != min(len(b), unix.SizeofInotifyEvent+int(plain.Len)) || e.folder != plain.Wd || e.mask != plain.Mask {
				t.Fatalf("%+v of %q, of which %d bytes are taken", e, b, taken)
			}
			if field := b[unix.SizeofInotifyEvent:taken]; strings.Contains(e.name, "\x00") || !strings.HasPrefix(string(field)+"\x00", e.name+"\x00") {
				t.Fatalf("%q of %q", e.name, field)
			}
			b = rest
		}
	})
}

// FuzzHeld: whatever a name that a program has in its memory is made of, it is seen,
// and what stands in lines of other names hides it no more than it adds to it.
func FuzzHeld(f *testing.F) {
	for _, name := range []string{"/work/.env", "/work/a\nb", "/work/a b (deleted)", "/work/\\012", "/x\n00400000-00401000 r--p 00000000 08:01 123 /work/.env"} {
		f.Add(name, "[heap]")
		f.Add("/lib/x", name)
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		if strings.ContainsRune(name+other, 0) || !strings.HasPrefix(name, "/") {
			return // neither is a path
		}
		proc := t.TempDir()
		const before = "7f0000000000-7f0000001000 r--p 00000000 08:01 123                        "
		text := before + escaped(other) + "\n" + before + escaped(name) + "\n" + before + escaped(other) + "\n"
		for file, content := range map[string]string{"maps": text} {
			if err := os.WriteFile(filepath.Join(proc, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(proc, "fd"), 0o700); err != nil {
			t.Fatal(err)
		}
		paths, err := held(proc)
		if err != nil || !slices.Contains(paths, escaped(name)) || len(paths) > 3 {
			t.Errorf("%q beside %q: %q %v", name, other, paths, err)
		}
		for _, p := range paths {
			if p != escaped(name) && !strings.HasSuffix(escaped(other), p) {
				t.Errorf("%q beside %q: %q is held by nothing", name, other, p)
			}
		}
	})
}

// BenchmarkScan scans 100,000 entries in 10,000 folders, as of node_modules,
// with the watch and without.
func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		sub := filepath.Join(dir, fmt.Sprint(i%100), fmt.Sprint(i))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 9 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("module-%d.js", j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("alone", func(b *testing.B) {
		defer processor(b)()
		for b.Loop() {
			if _, err := scanner(b, dir).Scan(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("watched", func(b *testing.B) {
		defer processor(b)()
		for b.Loop() {
			w := New(false)
			if _, err := w.Scan(context.Background(), &Tree{Scanner: scanner(b, dir)}); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			w.Close()()
			b.StartTimer()
		}
	})
}

// processor reports the processor time of each round beside the time on the
// clock, which is another thing on a busy machine.
func processor(b *testing.B) (report func()) {
	used := func() time.Duration {
		var r unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Milliseconds())/float64(b.N), "cpu-ms/op") }
}

// BenchmarkHarmless is what an event costs that concerns nothing blocked.
func BenchmarkHarmless(b *testing.B) {
	defer processor(b)()
	dir := b.TempDir()
	s := scanner(b, dir)
	if err := os.WriteFile(dir+"/main.go", nil, 0o644); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Entry(context.Background(), "", "main.go"); err != nil {
			b.Fatal(err)
		}
	}
}
