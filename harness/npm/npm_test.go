package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nacre/fault"
)

var machine = For("amd64")

// sum is a well-formed integrity.
var sum = "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))

func lock(entries ...string) string {
	return `{"lockfileVersion": 3, "packages": {"": {}, ` + strings.Join(entries, ", ") + `}}`
}

func TestParse(t *testing.T) {
	text := lock(
		`"node_modules/a": {"version": "1.2.3", "integrity": "`+sum+`", "resolved": "https://elsewhere.test/a.tgz"}`,
		`"node_modules/@s/b": {"version": "1.0.0-rc.1+build", "integrity": "sha1-x `+sum+`", "os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]}`,
		`"node_modules/@s/b/node_modules/alias": {"name": "real", "version": "2.0.0", "integrity": "`+sum+`", "os": ["!win32"]}`,
		`"node_modules/mac": {"version": "1.0.0", "optional": true, "os": ["darwin"]}`,
		`"node_modules/arm": {"version": "1.0.0", "optional": true, "cpu": ["arm64"]}`,
		`"node_modules/musl": {"version": "1.0.0", "optional": true, "libc": "musl"}`,
		`"node_modules/a/node_modules/within": {"version": "1.0.0", "inBundle": true}`)
	list, err := Parse("lock", []byte(text), machine)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range list {
		paths = append(paths, p.Place+" "+p.path())
	}
	want := []string{"node_modules/@s/b /@s/b/-/b-1.0.0-rc.1.tgz", "node_modules/@s/b/node_modules/alias /real/-/real-2.0.0.tgz", "node_modules/a /a/-/a-1.2.3.tgz"}
	if !slices.Equal(paths, want) {
		t.Errorf("%q", paths)
	}
	other := slices.Clone(list)
	other[0].SHA512 = bytes.Repeat([]byte{1}, 64)
	if Address(list, nil, nil) == Address(other, nil, nil) || Address(list, nil, []string{"x"}) != Address(slices.Clone(list), nil, nil) || Address(list, nil, nil) == Address(list[1:], nil, nil) {
		t.Error("the address is not that of the contents")
	}
	seen := map[string]bool{Address(list, nil, nil): true}
	for _, scripted := range [][]string{{"a"}, {"real"}, {"a", "real"}, {"real", "a"}} {
		found, err := Scripted(list, scripted)
		if err != nil || len(found) != len(scripted) {
			t.Fatalf("%v %v", found, err)
		}
		for _, beside := range [][]string{nil, {"x"}, {"y"}, {"x", "y"}} {
			if seen[Address(list, found, beside)] {
				t.Errorf("scripts of %q beside %q are in no address", scripted, beside)
			}
			seen[Address(list, found, beside)] = true
		}
	}
	if _, err := Scripted(list, []string{"alias"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}

// TestParseRefuses: whatever has no hash, or is not from a registry, is no lock.
func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       lock(),
		"version 1":     `{"lockfileVersion": 1, "dependencies": {}}`,
		"no integrity":  lock(`"node_modules/a": {"version": "1.0.0"}`),
		"sha1":          lock(`"node_modules/a": {"version": "1.0.0", "integrity": "sha1-eHg="}`),
		"short":         lock(`"node_modules/a": {"version": "1.0.0", "integrity": "sha512-eHg="}`),
		"link":          lock(`"node_modules/a": {"version": "1.0.0", "link": true, "integrity": "` + sum + `"}`),
		"up":            lock(`"node_modules/../a": {"version": "1.0.0", "integrity": "` + sum + `"}`),
		"beside":        lock(`"packages/a": {"version": "1.0.0", "integrity": "` + sum + `"}`),
		"nested beside": lock(`"node_modules/a/src": {"version": "1.0.0", "integrity": "` + sum + `"}`),
		"name":          lock(`"node_modules/a": {"name": "../b", "version": "1.0.0", "integrity": "` + sum + `"}`),
		"query":         lock(`"node_modules/a?x": {"version": "1.0.0", "integrity": "` + sum + `"}`),
		"version":       lock(`"node_modules/a": {"version": "1.0.0/../../b", "integrity": "` + sum + `"}`),
		"git":           lock(`"node_modules/a": {"version": "git+ssh://x", "integrity": "` + sum + `"}`),
		"other machine": lock(`"node_modules/a": {"version": "1.0.0", "cpu": "arm64", "integrity": "` + sum + `"}`),
		"twice":         lock(`"node_modules/a": {"version": "1.0.0", "integrity": "`+sum+`"}`, `"node_modules/a": {"version": "2.0.0", "integrity": "`+sum+`"}`),
		"not an object": lock(`"node_modules/a": []`),
		"no JSON":       "{",
	} {
		if list, err := Parse("lock", []byte(text), machine); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
}

// entry is one of an archive.
type entry struct {
	tar.Header
	text string
}

// archive is a package's archive, and its hash.
func archive(t *testing.T, entries ...entry) ([]byte, []byte) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		e.Size = int64(len(e.text))
		if e.Mode == 0 {
			e.Mode = 0o644
		}
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	h := sha512.Sum512(b.Bytes())
	return b.Bytes(), h[:]
}

func file(name, text string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg}, text}
}

// serve is a registry with archives by their paths, and a fetcher from it.
func serve(t *testing.T, archives map[string][]byte) (*Fetcher, string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := archives[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return &Fetcher{Registry: s.URL, Client: s.Client(), Folder: root}, dir
}

// TestFetch: packages come as they are, each below its place, with names that are
// masked in granted folders; nothing of how they were fetched stays.
func TestFetch(t *testing.T) {
	a, hashA := archive(t, file("package/package.json", `{"scripts": {"postinstall": "touch ran"}}`), entry{tar.Header{Name: "package/bin/run", Mode: 0o4755, Typeflag: tar.TypeReg}, "#!/bin/sh\n"},
		file("package/lib/credentials/id_rsa", "x"), file("package/node_modules/b/index.js", "bundled"))
	b, hashB := archive(t, entry{tar.Header{Name: "other/", Mode: 0o755, Typeflag: tar.TypeDir}, ""}, file("other/index.js", "b"))
	f, dir := serve(t, map[string][]byte{"/a/-/a-1.0.0.tgz": a, "/@s/b/-/b-2.0.0.tgz": b})
	said := ""
	f.Told = func(done, of int, n int64) { said = fmt.Sprint(done, of, n) }
	list := []Package{{Place: "node_modules/@s/b", Name: "@s/b", Version: "2.0.0", SHA512: hashB}, {Place: "node_modules/a", Name: "a", Version: "1.0.0", SHA512: hashA}}
	if err := f.All(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if err := Place(f.Folder); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint(2, 2, len(a)+len(b)); said != want {
		t.Errorf("told %s, want %s", said, want)
	}
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			info, _ := e.Info()
			found = append(found, fmt.Sprint(strings.TrimPrefix(path, dir+"/"), " ", info.Mode()))
		}
		return err
	})
	want := []string{"node_modules/@s/b/index.js -rw-r--r--", "node_modules/a/bin/run -rwxr-xr-x", "node_modules/a/lib/credentials/id_rsa -rw-r--r--",
		"node_modules/a/node_modules/b/index.js -rw-r--r--", "node_modules/a/package.json -rw-r--r--"}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("%q, %v", found, err)
	}
}

// TestFetchRefuses: an archive that is another than the lock file has the hash of,
// or holds what a package does not, ends it.
func TestFetchRefuses(t *testing.T) {
	good, hash := archive(t, file("package/a", "a"))
	for name, c := range map[string]struct {
		entries []entry
		serve   []byte
		want    string
	}{
		"another archive": {[]entry{file("package/a", "a")}, append(slices.Clone(good), 0), "not what the lock file has the hash of"},
		"no archive":      {nil, nil, "404"},
		"symbolic link":   {[]entry{{tar.Header{Name: "package/l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, ""}}, nil, "neither a file nor a folder"},
		"hard link":       {[]entry{{tar.Header{Name: "package/l", Typeflag: tar.TypeLink, Linkname: "package/a"}, ""}}, nil, "neither a file nor a folder"},
		"device":          {[]entry{{tar.Header{Name: "package/l", Typeflag: tar.TypeChar}, ""}}, nil, "neither a file nor a folder"},
		"upwards":         {[]entry{file("../../x", "")}, nil, "has an entry"},
		"upwards within":  {[]entry{file("package/../../x", "")}, nil, "has an entry"},
		"absolute":        {[]entry{file("/etc/x", "")}, nil, "has an entry"},
		"backslash":       {[]entry{file(`package\..\..\x`, "")}, nil, "has an entry"},
	} {
		b, h := archive(t, c.entries...)
		if c.serve != nil {
			b, h = c.serve, hash
		}
		all := map[string][]byte{"/a/-/a-1.0.0.tgz": b}
		if c.entries == nil {
			all = nil
		}
		f, dir := serve(t, all)
		err := f.All(t.Context(), []Package{{Place: "node_modules/a", Name: "a", Version: "1.0.0", SHA512: h}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, index)); err == nil {
			t.Errorf("%s: there is an index", name)
		}
	}
}

// TestOverlap: what one package's archive brings in another's folder is refused,
// whichever of both comes first; what it brings along itself is its own.
func TestOverlap(t *testing.T) {
	b, hashB := archive(t, file("package/index.js", "b"))
	for name, refused := range map[string]bool{"package/node_modules/b/index.js": true, "package/node_modules/b/new.js": true, "package/node_modules/b": true, "package/node_modules": true,
		"package/node_modules/bundled/index.js": false, "package/node_modules/b2": false} {
		a, hashA := archive(t, file(name, "a"))
		f, _ := serve(t, map[string][]byte{"/a/-/a-1.0.0.tgz": a, "/b/-/b-1.0.0.tgz": b})
		err := f.All(t.Context(), []Package{{Place: "node_modules/a", Name: "a", Version: "1.0.0", SHA512: hashA}, {Place: "node_modules/a/node_modules/b", Name: "b", Version: "1.0.0", SHA512: hashB}})
		if err == nil {
			err = Place(f.Folder)
		}
		if refused != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBudget(t *testing.T) {
	b := budget{bytes: 10, entries: 2}
	for range 2 {
		if err := b.take(5); err != nil {
			t.Error(err)
		}
	}
	if b.take(0) == nil {
		t.Error("the third entry")
	}
	if b := (budget{bytes: 10, entries: 2}); b.take(11) == nil {
		t.Error("too many bytes")
	}
}

// TestPlaceRefuses: what comes out of the sandbox names no other place.
func TestPlaceRefuses(t *testing.T) {
	for name, text := range map[string]string{"up": `{"node_modules/../../x": 1}`, "beside": `{"x": 1}`, "absolute": `{"/etc/x": 1}`, "twice": `{"node_modules/a": 1, "node_modules/b": 1}`,
		"another file": `{"node_modules/a": 0}`, "missing": `{"node_modules/a": 7}`, "no index": ""} {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		if name != "no index" {
			if err := os.WriteFile(filepath.Join(dir, index), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "file-1"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Place(root); err == nil {
			t.Errorf("%s was put in place", name)
		}
		root.Close()
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{lock(`"node_modules/a": {"version": "1.2.3", "integrity": "` + sum + `"}`), lock(`"node_modules/a/node_modules/@s/b": {"name": "c", "version": "1.0.0", "integrity": "` + sum + `", "os": "linux"}`), "{", "[]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Parse("lock", text, machine)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		for _, p := range list {
			if len(p.SHA512) != 64 || !fs.ValidPath(p.Place) || !strings.HasPrefix(p.Place, "node_modules/") || strings.ContainsAny(p.path(), "?#\\ ") || strings.Contains(p.path(), "..") && !strings.Contains(p.Name, "..") {
				t.Fatalf("%+v %s", p, p.path())
			}
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"node_modules/a": 1}`))
	f.Add([]byte(`{"node_modules/../a": 1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := readIndex(text)
		if err != nil {
			return
		}
		for name := range files {
			if !filepath.IsLocal(name) || strings.HasPrefix(filepath.Clean(name), "..") {
				t.Fatalf("%q", name)
			}
		}
	})
}
