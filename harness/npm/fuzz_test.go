package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre/fault"
)

// FuzzFetched: whatever a package's archive holds, what is put in place of it are plain
// files below that package's folder, outside of other packages'.
func FuzzFetched(f *testing.F) {
	for _, name := range []string{"package/index.js", "package/../../x", "/etc/x", "package/node_modules/b/x", "package/.git/config", "package", "x/a\\b", "package/a/../../../b"} {
		f.Add(packed(f, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o4755}))
	}
	f.Add(packed(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "package/l", Linkname: "/etc"}, tar.Header{Typeflag: tar.TypeReg, Name: "package/l/x"}))
	f.Add(packed(f, tar.Header{Typeflag: tar.TypeReg, Name: "package/a"}, tar.Header{Typeflag: tar.TypeReg, Name: "package/a/b"}, tar.Header{Typeflag: tar.TypeReg, Name: "package/a"}))
	f.Fuzz(func(t *testing.T, archived []byte) {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		fetcher := &Fetcher{Folder: root, index: map[string]int{}, budget: budget{bytes: 1 << 20, entries: 100},
			places: map[string]bool{"node_modules/a": true, "node_modules/a/node_modules/b": true, "node_modules/c": true}}
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		_, _ = z.Write(archived)
		z.Close()
		if fetcher.unpack(&zipped, "node_modules/a") != nil {
			return
		}
		text, err := json.Marshal(fetcher.index)
		if err == nil {
			err = root.WriteFile(index, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := Place(root); err != nil { // such as a file where another one's folder is
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		count := 0
		err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			count++
			info, err := e.Info()
			if err != nil || !e.Type().IsRegular() || info.Mode()&^0o755 != 0 ||
				!strings.HasPrefix(path, dir+"/node_modules/a/") || strings.HasPrefix(path+"/", dir+"/node_modules/a/node_modules/b/") {
				t.Errorf("%s %v: %v", path, info.Mode(), err)
			}
			return nil
		})
		if err != nil || count != len(fetcher.index) {
			t.Errorf("%d files of %v: %v", count, fetcher.index, err)
		}
	})
}
