package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	registrytest "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"nacre"
	"nacre/fault"
)

// item is one tar entry.
type item struct {
	name string
	kind byte // a regular file if zero
	body string
	link string
	mode int64 // 0644, or 0755 for a folder, if zero
	pax  map[string]string
}

// tarOf makes a tar.
func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, it := range items {
		h := &tar.Header{Name: it.name, Typeflag: it.kind, Linkname: it.link, Mode: it.mode,
			Size: int64(len(it.body)), PAXRecords: it.pax, Uid: 4711, Gid: 4711}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%q: %v", it.name, err)
		}
		if _, err := io.WriteString(w, it.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func hashOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// rawLayer is a layer of given bytes, honest or not about what they unpack to.
type rawLayer struct {
	v1.Layer
	diffID v1.Hash
}

func (l rawLayer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// layerOf makes a layer of a blob that claims to unpack to a tar.
func layerOf(blob, tar []byte) v1.Layer {
	return rawLayer{static.NewLayer(blob, types.OCILayer), hashOf(tar)}
}

// imageOf makes an image for this machine of tars.
func imageOf(t testing.TB, tars ...[]byte) v1.Image {
	t.Helper()
	var layers []v1.Layer
	for _, b := range tars {
		layers = append(layers, layerOf(gzipped(t, b), b))
	}
	return imageFrom(t, "linux", runtime.GOARCH, layers...)
}

func imageFrom(t testing.TB, system, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img, err := mutate.AppendLayers(img, layers...)
	if err == nil {
		var config *v1.ConfigFile
		config, err = img.ConfigFile()
		if err == nil {
			config = config.DeepCopy()
			config.OS, config.Architecture = system, arch
			config.Config.Env = []string{"A=b"}
			config.Config.Cmd = []string{"/bin/true"}
			img, err = mutate.ConfigFile(img, config)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// simple is an image with one file in it.
func simple(t testing.TB, body string) v1.Image {
	return imageOf(t, tarOf(t, item{name: "usr/", kind: tar.TypeDir}, item{name: "usr/hello", body: body}))
}

// counted serves a registry on the loopback and counts requests.
type counted struct {
	*httptest.Server
	host     string
	requests atomic.Int64
	before   atomic.Value // intercept
}

// intercept answers a request in the registry's place, or returns false.
type intercept func(http.ResponseWriter, *http.Request) bool

func serve(t testing.TB) *counted {
	t.Helper()
	next := registrytest.New(registrytest.Logger(discard()))
	c := &counted{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c.requests.Add(1)
		if before, _ := c.before.Load().(intercept); before == nil || !before(w, q) {
			next.ServeHTTP(w, q)
		}
	}))
	t.Cleanup(c.Close)
	c.host = strings.TrimPrefix(c.URL, "http://")
	return c
}

// push stores an image or index and returns its reference by digest.
func (c *counted) push(t testing.TB, what remote.Taggable) string {
	t.Helper()
	tag, err := name.NewTag(c.host + "/test/image:latest")
	if err == nil {
		switch it := what.(type) {
		case v1.Image:
			err = remote.Write(tag, it)
		case v1.ImageIndex:
			err = remote.WriteIndex(tag, it)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := what.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return c.host + "/test/image@" + hashOf(raw).String()
}

// store opens a store in a new folder.
func store(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "images"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func prepare(s *Store, ref string) (Rootfs, error) {
	return s.Prepare(context.Background(), nacre.Image{Kind: nacre.ImageOCI, Reference: ref}, nil)
}

// mustPrepare prepares and closes at the test's end.
func mustPrepare(t testing.TB, s *Store, ref string) Rootfs {
	t.Helper()
	r, err := prepare(s, ref)
	if err != nil {
		t.Fatalf("%s: %v (%s)", ref, err, fault.HintOf(err))
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// wantFault checks an error's kind, its words, and that nothing was left.
func wantFault(t testing.TB, s *Store, err error, kind fault.Kind, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want %s: …%s…", kind, words)
	}
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), words) {
		t.Errorf("got %s: %v; want %s: …%s…", fault.KindOf(err), err, kind, words)
	}
	wantNothingTemporary(t, s)
}

func wantNothingTemporary(t testing.TB, s *Store) {
	t.Helper()
	for _, name := range names(t, s.dir) {
		if strings.HasPrefix(name, tempPrefix) {
			t.Errorf("left behind: %s", name)
		}
	}
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// tree lists a folder: path → content, link target ("-> x") or "dir".
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	list := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		full := filepath.Join(dir, path)
		switch d.Type() {
		case fs.ModeDir:
			list[path] = "dir"
		case fs.ModeSymlink:
			target, err := os.Readlink(full)
			list[path] = "-> " + target
			return err
		default:
			raw, err := os.ReadFile(full)
			list[path] = string(raw)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func discard() *log.Logger { return log.New(io.Discard, "", 0) }
