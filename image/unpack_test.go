package image

import (
	"archive/tar"
	"bytes"
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

const canary = "untouched"

// target makes an empty root beside a canary that nothing may change.
func target(t testing.TB) (root, outside string) {
	t.Helper()
	dir := t.TempDir()
	root, outside = filepath.Join(dir, "root"), filepath.Join(dir, "canary")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	return root, outside
}

// applyTo unpacks layers into a folder.
func applyTo(t testing.TB, root string, o Options, layers ...[]byte) (notes, error) {
	t.Helper()
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	u := newUnpacker("test", dir, newBudget(o.defaults()))
	for _, b := range layers {
		u.whiteouts, u.seen = true, map[uint64]struct{}{}
		if _, err := u.stream(bytes.NewReader(b)); err != nil {
			return u.notes, err
		}
	}
	return u.notes, nil
}

// wantContained checks what holds after every unpacking, hostile or not.
func wantContained(t testing.TB, root, outside string) {
	t.Helper()
	if raw, err := os.ReadFile(outside); err != nil || string(raw) != canary {
		t.Errorf("the canary is now %q, %v", raw, err)
	}
	if got := names(t, filepath.Dir(root)); len(got) != 2 {
		t.Errorf("beside the root: %q", got)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if int(st.Uid) != os.Geteuid() {
			t.Errorf("%q belongs to %d", path, st.Uid)
		}
		switch {
		case d.IsDir() && info.Mode().Perm()&0o700 != 0o700:
			t.Errorf("%q has mode %v", path, info.Mode())
		case info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0:
			t.Errorf("%q has mode %v", path, info.Mode())
		}
		if n, err := unix.Llistxattr(path, nil); err == nil && n > 0 {
			buf := make([]byte, n)
			unix.Llistxattr(path, buf)
			if s := string(buf); !strings.HasPrefix(s, "security.selinux") && !strings.HasPrefix(s, "system.posix_acl") {
				t.Errorf("%q has attributes %q", path, buf)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func dir(name string) item        { return item{name: name, kind: tar.TypeDir} }
func file(name, body string) item { return item{name: name, body: body} }
func link(name, to string) item   { return item{name: name, kind: tar.TypeSymlink, link: to} }
func hard(name, to string) item   { return item{name: name, kind: tar.TypeLink, link: to} }

func TestUnpackLayers(t *testing.T) {
	for name, test := range map[string]struct {
		layers [][]item
		want   map[string]string
	}{
		"parents that are not listed": {[][]item{{file("a/b/c", "x")}},
			map[string]string{"a": "dir", "a/b": "dir", "a/b/c": "x"}},
		"absolute and dotted names": {[][]item{{dir("./"), file("/a", "1"), file("./b", "2"), file("//c//d", "3")}},
			map[string]string{"a": "1", "b": "2", "c": "dir", "c/d": "3"}},
		"parent is an absolute link": {[][]item{{dir("run"), link("var", "/run")}, {file("var/pid", "7")}},
			map[string]string{"run": "dir", "var": "-> /run", "run/pid": "7"}},
		"file replaces folder": {[][]item{{file("a/b", "1")}, {file("a", "2")}}, map[string]string{"a": "2"}},
		"folder replaces file": {[][]item{{file("a", "1")}, {file("b", "1"), dir("a"), file("a/b", "2")}},
			map[string]string{"a": "dir", "a/b": "2", "b": "1"}},
		"folder replaces link": {[][]item{{dir("real"), link("a", "real")}, {dir("a"), file("a/x", "1")}},
			map[string]string{"real": "dir", "a": "dir", "a/x": "1"}},
		"folders merge": {[][]item{{file("a/1", "1")}, {dir("a"), file("a/2", "2")}},
			map[string]string{"a": "dir", "a/1": "1", "a/2": "2"}},
		"hard links": {[][]item{{file("a", "1"), hard("d/b", "a"), hard("c", "/d/b")}},
			map[string]string{"a": "1", "d": "dir", "d/b": "1", "c": "1"}},
		"hard link then replaced": {[][]item{{file("a", "1"), hard("b", "a")}, {file("b", "2")}},
			map[string]string{"a": "1", "b": "2"}},
		"hard link to a symlink": {[][]item{{link("a", "/etc/passwd"), hard("b", "a")}},
			map[string]string{"a": "-> /etc/passwd", "b": "-> /etc/passwd"}},
		"whiteout": {[][]item{{file("a/1", "1"), file("a/2", "2"), file("d/x", "")}, {file("a/.wh.1", ""), file(".wh.d", "")}},
			map[string]string{"a": "dir", "a/2": "2"}},
		"whiteout of a link":    {[][]item{{file("a", "1"), link("b", "a")}, {file(".wh.b", "")}}, map[string]string{"a": "1"}},
		"whiteout of nothing":   {[][]item{{file("a", "1")}, {file(".wh.b", ""), file("x/.wh.y", ""), file("a/.wh.z", "")}}, map[string]string{"a": "1"}},
		"old union bookkeeping": {[][]item{{file(".wh..wh.plnk", ""), file("a", "1")}}, map[string]string{"a": "1"}},
		"opaque first": {[][]item{{file("a/1", "1"), file("a/b/2", "2")}, {dir("a"), file("a/.wh..wh..opq", ""), file("a/3", "3")}},
			map[string]string{"a": "dir", "a/3": "3"}},
		"opaque last": {[][]item{{file("a/1", "1"), file("a/b/2", "2")}, {file("a/b/4", "4"), file("a/3", "3"), file("a/.wh..wh..opq", "")}},
			map[string]string{"a": "dir", "a/3": "3", "a/b": "dir", "a/b/4": "4"}},
		"opaque twice": {[][]item{{file("a/1", "1")}, {file("a/.wh..wh..opq", ""), file("a/2", "2"), file("a/.wh..wh..opq", "")}},
			map[string]string{"a": "dir", "a/2": "2"}},
		"long names": {[][]item{{file(strings.Repeat("n", 255), "1")}}, map[string]string{strings.Repeat("n", 255): "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			root, outside := target(t)
			var layers [][]byte
			for _, items := range test.layers {
				layers = append(layers, tarOf(t, items...))
			}
			if _, err := applyTo(t, root, Options{}, layers...); err != nil {
				t.Fatal(err)
			}
			if got := tree(t, root); !maps.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
			wantContained(t, root, outside)
		})
	}
}

// Hostile layers. OUT stands for the folder that holds root and canary. Either
// the layer is refused, or what it makes stays within; the canary holds.
func TestUnpackHostile(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("d/", n) + "f" }
	for name, test := range map[string]struct {
		layers  [][]item
		options Options
		kind    fault.Kind
		words   string // of the refusal; "" where it is allowed and harmless
	}{
		"dot-dot":                       {layers: [][]item{{file("../canary", "x")}}, kind: fault.Invalid, words: "upwards"},
		"dot-dot inside":                {layers: [][]item{{file("a/../../canary", "x")}}, kind: fault.Invalid, words: "upwards"},
		"dot-dot as whiteout":           {layers: [][]item{{file(".wh...", "")}}, kind: fault.Invalid, words: "no name"},
		"dot as whiteout":               {layers: [][]item{{file("a/.wh..", "")}}, kind: fault.Invalid, words: "no name"},
		"whiteout of no name":           {layers: [][]item{{file(".wh.", "")}}, kind: fault.Invalid, words: "no name"},
		"absolute name":                 {layers: [][]item{{file("OUT/canary", "x")}}},
		"through an absolute link":      {layers: [][]item{{link("a", "OUT"), file("a/canary", "x")}}, kind: fault.Invalid, words: "link to nothing"},
		"through a relative link":       {layers: [][]item{{link("a", ".."), file("a/canary", "x")}}},
		"through a long relative link":  {layers: [][]item{{link("a", "../../../../../../../../tmp"), file("a/canary", "x")}}, kind: fault.Invalid, words: "link to nothing"},
		"through a chain of links":      {layers: [][]item{{dir("d"), link("d/a", ".."), link("b", "d/a/.."), file("b/canary", "x")}}},
		"link from a lower layer":       {layers: [][]item{{link("a", "..")}, {file("a/canary", "x")}}},
		"final link is replaced":        {layers: [][]item{{link("a", "OUT/canary"), file("a", "x")}}},
		"folder over a link outside":    {layers: [][]item{{link("a", "OUT"), dir("a"), file("a/canary", "x")}}},
		"folder mode through a link":    {layers: [][]item{{link("a", "OUT/canary"), {name: "a", kind: tar.TypeDir, mode: 0o777}}}},
		"whiteout through a link":       {layers: [][]item{{link("a", "..")}, {file("a/.wh.canary", "")}}},
		"opaque through a link":         {layers: [][]item{{link("a", "..")}, {file("a/.wh..wh..opq", "")}}},
		"whiteout through /proc":        {layers: [][]item{{link("a", "/proc/self/cwd")}, {file("a/.wh.canary", "")}}},
		"magic link":                    {layers: [][]item{{link("a", "/proc/self/root/tmp"), file("a/canary", "x")}}, kind: fault.Invalid, words: "link to nothing"},
		"hard link to the canary":       {layers: [][]item{{hard("a", "OUT/canary")}}, kind: fault.Invalid, words: "no such file"},
		"hard link upwards":             {layers: [][]item{{hard("a", "../canary")}}, kind: fault.Invalid, words: "upwards"},
		"hard link through a link":      {layers: [][]item{{link("l", ".."), hard("a", "l/canary")}}, kind: fault.Invalid, words: "no such file"},
		"hard link, written through":    {layers: [][]item{{link("l", "OUT/canary"), hard("a", "l"), file("a", "x")}}},
		"hard link to a folder":         {layers: [][]item{{dir("d"), hard("a", "d")}}, kind: fault.Invalid, words: "not permitted"},
		"hard link to itself":           {layers: [][]item{{file("a", "x"), hard("a", "a")}}, kind: fault.Invalid, words: "no such file"},
		"hard link to the root":         {layers: [][]item{{hard("a", "/")}}, kind: fault.Invalid, words: "\"a\""},
		"link loop as parent":           {layers: [][]item{{link("a", "b"), link("b", "a"), file("a/x", "")}}, kind: fault.Invalid, words: "symbolic links"},
		"link to itself as parent":      {layers: [][]item{{link("a", "a"), file("a/x", "")}}, kind: fault.Invalid, words: "symbolic links"},
		"file as parent":                {layers: [][]item{{file("a", ""), file("a/x", "")}}, kind: fault.Invalid, words: "not a directory"},
		"the root as a file":            {layers: [][]item{{file(".", "x")}}},
		"the root as a link":            {layers: [][]item{{link("./", "/")}}},
		"the root's mode":               {layers: [][]item{{{name: "./", kind: tar.TypeDir, mode: 0o1}}}},
		"character device":              {layers: [][]item{{{name: "null", kind: tar.TypeChar}}}},
		"block device":                  {layers: [][]item{{{name: "sda", kind: tar.TypeBlock}}}},
		"fifo":                          {layers: [][]item{{{name: "pipe", kind: tar.TypeFifo}}}},
		"device over a file":            {layers: [][]item{{file("null", "x")}, {{name: "null", kind: tar.TypeChar}}}},
		"unknown type":                  {layers: [][]item{{{name: "a", kind: 'Q'}}}, kind: fault.Invalid, words: "unknown type"},
		"setuid and setgid":             {layers: [][]item{{{name: "su", mode: 0o6755}, {name: "d", kind: tar.TypeDir, mode: 0o6777}}}},
		"setuid over hard link":         {layers: [][]item{{file("a", "x"), {name: "b", kind: tar.TypeLink, link: "a", mode: 0o4755}}}},
		"file capability":               {layers: [][]item{{{name: "ping", pax: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}}}}},
		"overlay attribute":             {layers: [][]item{{{name: "d", kind: tar.TypeDir, pax: map[string]string{"SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.trusted.overlay.opaque": "y"}}}}},
		"modes that lock out":           {layers: [][]item{{{name: "d", kind: tar.TypeDir, mode: 0o40000}, file("d/x", "1"), {name: "d/y", mode: 1 << 20}}}},
		"negative mode":                 {layers: [][]item{{{name: "a", mode: -1}}}},
		"component too long":            {layers: [][]item{{file(strings.Repeat("n", 256), "")}}, kind: fault.Invalid, words: "too long"},
		"path too long":                 {layers: [][]item{{file(deep(600), "")}}, kind: fault.Invalid, words: "too long"},
		"link too long":                 {layers: [][]item{{link("a", strings.Repeat("x", 5000))}}, kind: fault.Invalid, words: "too long"},
		"empty link":                    {layers: [][]item{{link("a", "")}}, kind: fault.Invalid, words: "\"a\""},
		"tower of links":                {layers: [][]item{{dir("a"), link("s", "a"), file("s/"+deep(400), ""), link("t", "s/"+strings.Repeat("d/", 400)), file("t/"+deep(400), "")}}, kind: fault.Invalid, words: "too long"},
		"too many entries":              {layers: [][]item{{file("1", ""), file("2", ""), file("3", "")}, {file("4", "")}}, options: Options{MaxEntries: 3}, kind: fault.Exhausted, words: "entries"},
		"too many by parents":           {layers: [][]item{{file(deep(10), "")}}, options: Options{MaxEntries: 5}, kind: fault.Exhausted, words: "entries"},
		"too many that come to nothing": {layers: [][]item{{file("a", ""), file("a", ""), file(".wh.a", ""), dir("./")}}, options: Options{MaxEntries: 3}, kind: fault.Exhausted, words: "entries"},
		"too many bytes":                {layers: [][]item{{file("1", "12345")}, {file("1", "67890")}}, options: Options{MaxBytes: 9}, kind: fault.Exhausted, words: "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			root, outside := target(t)
			var layers [][]byte
			for _, items := range test.layers {
				for i := range items {
					items[i].name = strings.ReplaceAll(items[i].name, "OUT", filepath.Dir(root))
					items[i].link = strings.ReplaceAll(items[i].link, "OUT", filepath.Dir(root))
				}
				layers = append(layers, tarOf(t, items...))
			}
			_, err := applyTo(t, root, test.options, layers...)
			switch {
			case test.words == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.words != "" && err == nil:
				t.Error("not refused")
			case err != nil && (fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.words) || fault.HintOf(err) == ""):
				t.Errorf("got %s: %v (hint %q); want %s: …%s…", fault.KindOf(err), err, fault.HintOf(err), test.kind, test.words)
			}
			wantContained(t, root, outside)
			if err := os.RemoveAll(root); err != nil {
				t.Errorf("cannot be removed: %v", err)
			}
		})
	}
}

func TestUnpackKeepsModesAndTimes(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	root, _ := target(t)
	layer := tarOf(t, item{name: "bin/tool", mode: 0o755}, item{name: "tmp", kind: tar.TypeDir, mode: 0o1777}, item{name: "secret", mode: 0})
	if _, err := applyTo(t, root, Options{}, layer); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"bin": fs.ModeDir | 0o755, "bin/tool": 0o755,
		"tmp": fs.ModeDir | fs.ModeSticky | 0o777} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	info, err := os.Lstat(filepath.Join(root, "bin/tool"))
	if err != nil || !info.ModTime().Equal(time.Unix(0, 0)) {
		t.Errorf("bin/tool: %v, %v", info.ModTime(), err)
	}
}

func TestUnpackNotes(t *testing.T) {
	root, _ := target(t)
	notes, err := applyTo(t, root, Options{}, tarOf(t,
		item{name: "dev/null", kind: tar.TypeChar}, item{name: "dev/zero", kind: tar.TypeChar},
		item{name: "dev/\x1b[2J", kind: tar.TypeFifo}, item{name: "dev/4", kind: tar.TypeFifo},
		item{name: "su", mode: 0o4755},
		item{name: "ping", pax: map[string]string{"SCHILY.xattr.security.capability": "x"}},
		item{name: "y", pax: map[string]string{"SCHILY.xattr.user.y": "x"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := `devices and fifos left out: 4 ("dev/null", "dev/zero", "dev/\x1b[2J", …)
extended attributes left out: 1 ("y")
file capabilities stripped: 1 ("ping")
setuid and setgid bits stripped: 1 ("su")`
	if got := strings.Join(notes.lines(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A sparse file is short in the tar and as long as it likes on the disk.
func TestUnpackSparseBomb(t *testing.T) {
	raw := tarOf(t, item{name: "bomb", body: "x"})
	sparse := sparseHeader(t, 1<<40)
	root, outside := target(t)
	_, err := applyTo(t, root, Options{MaxBytes: 1 << 20}, append(sparse, raw...))
	if fault.KindOf(err) != fault.Exhausted {
		t.Errorf("got %v", err)
	}
	wantContained(t, root, outside)
}

// sparseHeader is an old GNU sparse entry of one hole.
func sparseHeader(t testing.TB, size int64) []byte {
	t.Helper()
	b := make([]byte, 512)
	copy(b, "sparse")
	copy(b[100:], "0000644\x00")
	copy(b[124:], "00000000000\x00")
	copy(b[136:], "00000000000\x00")
	b[156] = 'S'
	copy(b[257:], "ustar  \x00")
	big := func(at []byte, v int64) {
		at[0] = 0x80
		for i := 11; i > 3; i-- {
			at[i], v = byte(v), v>>8
		}
	}
	big(b[386:398], size) // the one fragment: at the end, empty
	big(b[398:410], 0)
	big(b[483:495], size)
	sum := 0
	copy(b[148:], "        ")
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], octal(sum))
	return b
}

func octal(n int) string {
	s := ""
	for i := 0; i < 6; i++ {
		s, n = string(rune('0'+n%8))+s, n/8
	}
	return s + "\x00 "
}

// A bomb of padding after the tar's end unpacks to nothing and never ends.
func TestUnpackPaddingBomb(t *testing.T) {
	raw := append(tarOf(t, file("a", "x")), make([]byte, 8<<20)...)
	root, _ := target(t)
	_, err := applyTo(t, root, Options{MaxBytes: 1 << 20, MaxEntries: 10}, gzipped(t, raw))
	if fault.KindOf(err) != fault.Exhausted {
		t.Errorf("got %v", err)
	}
}

func TestUnpackStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	in := newCounting(ctx, bytes.NewReader(tarOf(t, file("a", "x"))))
	root, _ := target(t)
	d, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := newUnpacker("test", d, newBudget(Options{}.defaults())).stream(in); err == nil || len(names(t, root)) != 0 {
		t.Errorf("%v, %q", err, names(t, root))
	}
}
