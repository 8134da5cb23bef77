package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"nacre"
	"nacre/fault"
)

func wantHello(t testing.TB, r Rootfs, body string) {
	t.Helper()
	if got, want := tree(t, r.Path), map[string]string{"usr": "dir", "usr/hello": body}; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrepareFromRegistry(t *testing.T) {
	reg, s := serve(t), store(t, Options{})
	ref := reg.push(t, simple(t, "one"))
	r := mustPrepare(t, s, ref)
	wantHello(t, r, "one")
	if !strings.HasSuffix(ref, r.Digest) || r.Config.Env[0] != "A=b" || r.Config.Cmd[0] != "/bin/true" {
		t.Errorf("%+v", r)
	}
	if info, err := os.Stat(r.Path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Dir(r.Path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	dir, err := r.Open()
	if err != nil {
		t.Fatal(err)
	}
	dir.Close()
	wantNothingTemporary(t, s)

	reg.Close() // an image that is there needs no network
	before := reg.requests.Load()
	again := mustPrepare(t, s, ref)
	if again.Path != r.Path || reg.requests.Load() != before {
		t.Errorf("%+v, %d requests", again, reg.requests.Load()-before)
	}
}

func TestPrepareKinds(t *testing.T) {
	s := store(t, Options{})
	for _, kind := range []nacre.ImageKind{"", nacre.ImageHost, nacre.ImageDirectory} {
		_, err := s.Prepare(context.Background(), nacre.Image{Kind: kind, Reference: "/"}, nil)
		wantFault(t, s, err, fault.Internal, "of kind")
	}
	if _, err := (Rootfs{}).Open(); err == nil {
		t.Error("the zero Rootfs opened")
	}
}

func TestReferences(t *testing.T) {
	hex := strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"":                                      "not pinned",
		"alpine":                                "not pinned",
		"alpine:3.20":                           "not pinned",
		"alpine@latest":                         "alpine@latest",
		"alpine@sha256:" + hex[1:]:              "alpine@sha256",
		"alpine@sha256:" + strings.ToUpper(hex): "alpine@sha256",
		"alpine@sha512:" + hex + hex:            "alpine@sha512",
		"a b@sha256:" + hex:                     "a b",
		"alpine@sha256:" + hex:                  "",
		"alpine:3@sha256:" + hex:                "",
		"localhost:5000/a/b@sha256:" + hex:      "",
		"layout:relative":                       "not absolute",
		"layout:":                               "not absolute",
		"archive:/a\x00b":                       "not absolute",
		"layout:/x@sha256:123":                  "not a SHA-256",
		"layout:/x@sha256:" + hex:               "",
		"archive:/x y/@z":                       "",
	} {
		ref, err := parseReference(text)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) || fault.HintOf(err) == ""):
			t.Errorf("%q: %+v, %v; want …%s…", text, ref, err, want)
		}
	}
}

func indexOf(entries ...mutate.IndexAddendum) v1.ImageIndex {
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), entries...)
}

func forPlatform(img mutate.Appendable, system, arch, variant string) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: system, Architecture: arch, Variant: variant}}}
}

func TestPlatforms(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	foreign := imageFrom(t, "linux", other, layerOf(tarOf(t, file("usr/hello", "foreign")), tarOf(t, file("usr/hello", "foreign"))))
	windows := imageFrom(t, "windows", runtime.GOARCH, layerOf(tarOf(t), tarOf(t)))
	for name, test := range map[string]struct {
		what  remote.Taggable
		words string
	}{
		"ours among others": {indexOf(forPlatform(foreign, "linux", other, ""), forPlatform(windows, "windows", runtime.GOARCH, ""),
			forPlatform(foreign, "unknown", "unknown", ""), forPlatform(simple(t, "one"), "linux", runtime.GOARCH, "")), ""},
		"nested":             {indexOf(forPlatform(indexOf(forPlatform(simple(t, "one"), "linux", runtime.GOARCH, "")), "linux", runtime.GOARCH, "")), ""},
		"ours is not there":  {indexOf(forPlatform(foreign, "linux", other, "")), "nothing in it for linux/" + runtime.GOARCH},
		"newer variant only": {indexOf(forPlatform(simple(t, "one"), "linux", runtime.GOARCH, "v99")), "nothing in it"},
		"empty index":        {indexOf(), "nothing in it"},
		"wrong manifest":     {foreign, "it is for \"linux/" + other},
		"lying index":        {indexOf(forPlatform(foreign, "linux", runtime.GOARCH, "")), "it is for \"linux/" + other},
	} {
		t.Run(name, func(t *testing.T) {
			reg, s := serve(t), store(t, Options{})
			ref := reg.push(t, test.what)
			if test.words != "" {
				_, err := prepare(s, ref)
				wantFault(t, s, err, fault.Unsupported, test.words)
				return
			}
			wantHello(t, mustPrepare(t, s, ref), "one")
			before := reg.requests.Load()
			wantHello(t, mustPrepare(t, s, ref), "one")
			if reg.requests.Load() != before {
				t.Errorf("%d requests for an index that is known", reg.requests.Load()-before)
			}
		})
	}
	reg, s := serve(t), store(t, Options{})
	two := indexOf(forPlatform(simple(t, "one"), "linux", runtime.GOARCH, ""), forPlatform(simple(t, "two"), "linux", runtime.GOARCH, ""))
	_, err := prepare(s, reg.push(t, two))
	wantFault(t, s, err, fault.Invalid, "several images")
}

// writeLayout stores images in a layout and returns its folder.
func writeLayout(t *testing.T, imgs ...v1.Image) string {
	t.Helper()
	path, err := layout.Write(filepath.Join(t.TempDir(), "layout"), empty.Index)
	for _, img := range imgs {
		if err == nil {
			err = path.AppendImage(img)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(path)
}

// tarFolder makes a tar of a folder.
func tarFolder(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dockerSave is the older form, with compressed layers or without.
func dockerSave(t *testing.T, img v1.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	tag, err := name.NewTag("test:latest")
	if err == nil {
		err = tarball.Write(tag, img, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPrepareLocal(t *testing.T) {
	img, other := simple(t, "one"), simple(t, "two")
	raw := tarOf(t, dir("usr/"), file("usr/hello", "one"))
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	oldSave := tarOf(t, file("manifest.json", `[{"Config":"c.json","Layers":["l/layer.tar"]}]`), file("c.json", string(config)),
		file("real/layer.tar", string(raw)), link("l/layer.tar", "../real/layer.tar"))
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	packed := tarFolder(t, writeLayout(t, img))
	enc, _ := zstd.NewWriter(nil)
	for name, ref := range map[string]string{
		"layout":                   "layout:" + writeLayout(t, img),
		"layout, one of two":       "layout:" + writeLayout(t, img, other) + "@" + digest.String(),
		"layout, stored plain":     "layout:" + writeLayout(t, imageFrom(t, "linux", runtime.GOARCH, layerOf(raw, raw))),
		"layout, zstd":             "layout:" + writeLayout(t, imageFrom(t, "linux", runtime.GOARCH, layerOf(enc.EncodeAll(raw, nil), raw))),
		"archive of a layout":      "archive:" + write(t, packed),
		"compressed archive":       "archive:" + write(t, gzipped(t, packed)),
		"archive with its digest":  "archive:" + write(t, packed) + "@" + hashOf(packed).String(),
		"docker save":              "archive:" + write(t, dockerSave(t, img)),
		"docker save, with a link": "archive:" + write(t, oldSave),
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, Options{})
			wantHello(t, mustPrepare(t, s, ref), "one")
			wantHello(t, mustPrepare(t, s, ref), "one")
			if got := names(t, s.dir); len(got) != 2 {
				t.Errorf("in the store: %q", got)
			}
		})
	}
}

func TestPrepareLocalBad(t *testing.T) {
	img := simple(t, "one")
	digest, _ := img.Digest()
	lay := writeLayout(t, img)
	lacking := writeLayout(t, img)
	os.Remove(filepath.Join(lacking, "blobs/sha256", digest.Hex))
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscallMkfifo(fifo); err != nil {
		t.Fatal(err)
	}
	big := t.TempDir()
	os.WriteFile(filepath.Join(big, "index.json"), bytes.Repeat([]byte(" "), maxDocument+1), 0o600)
	fifoIndex := t.TempDir()
	syscallMkfifo(filepath.Join(fifoIndex, "index.json"))
	linked := t.TempDir()
	os.Symlink("/etc/passwd", filepath.Join(linked, "index.json"))
	wrong := "@sha256:" + strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		ref   string
		kind  fault.Kind
		words string
	}{
		"no folder":              {"layout:/does/not/exist", fault.NotFound, "no such file"},
		"a file":                 {"layout:" + write(t, nil), fault.Invalid, "not a directory"},
		"an empty folder":        {"layout:" + t.TempDir(), fault.NotFound, "lacks"},
		"two images":             {"layout:" + writeLayout(t, img, simple(t, "two")), fault.Invalid, "several images"},
		"another digest":         {"layout:" + lay + wrong, fault.NotFound, "lacks"},
		"a blob is lacking":      {"layout:" + lacking, fault.NotFound, "lacks"},
		"huge index":             {"layout:" + big, fault.Exhausted, "over the limit"},
		"fifo as index":          {"layout:" + fifoIndex, fault.Invalid, "not a regular file"},
		"index is a link out":    {"layout:" + linked, fault.Invalid, "escapes"},
		"no archive":             {"archive:/does/not/exist", fault.NotFound, "no such file"},
		"archive is a folder":    {"archive:" + lay, fault.Invalid, "not a regular file"},
		"archive is a fifo":      {"archive:" + fifo, fault.Invalid, "not a regular file"},
		"archive is a device":    {"archive:/dev/zero", fault.Invalid, "not a regular file"},
		"empty archive":          {"archive:" + write(t, nil), fault.NotFound, "lacks"},
		"not an archive":         {"archive:" + write(t, bytes.Repeat([]byte("x"), 2000)), fault.Invalid, "cannot be read"},
		"truncated":              {"archive:" + write(t, dockerSave(t, img)[:1500]), fault.Invalid, "unexpected EOF"},
		"archive changed":        {"archive:" + write(t, dockerSave(t, img)) + wrong, fault.Tampered, "promised"},
		"hostile archive":        {"archive:" + write(t, tarOf(t, file("../x", ""))), fault.Invalid, "upwards"},
		"links out of archive":   {"archive:" + write(t, tarOf(t, link("manifest.json", "/etc/passwd"))), fault.Invalid, "escapes"},
		"several in one":         {"archive:" + write(t, tarOf(t, file("manifest.json", "[{},{}]"))), fault.Invalid, "2 images"},
		"not JSON":               {"archive:" + write(t, tarOf(t, file("manifest.json", "{"))), fault.Invalid, "cannot be read"},
		"configuration outside":  {"archive:" + write(t, tarOf(t, file("manifest.json", `[{"Config":"../../../etc/passwd"}]`))), fault.Invalid, "escapes"},
		"configuration is empty": {"archive:" + write(t, tarOf(t, file("manifest.json", `[{"Config":"c"}]`), file("c", "{}"))), fault.Unsupported, "it is for"},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, Options{})
			_, err := prepare(s, test.ref)
			wantFault(t, s, err, test.kind, test.words)
		})
	}
}

// Sources that do not hold what they promise.
func TestTampered(t *testing.T) {
	good := tarOf(t, dir("usr/"), file("usr/hello", "one"))
	evil := tarOf(t, dir("usr/"), file("usr/hello", "two"))
	for name, test := range map[string]struct {
		img   v1.Image
		spoil func(t *testing.T, blobs string, img v1.Image)
		kind  fault.Kind
		words string
	}{
		"diffID": {imageFrom(t, "linux", runtime.GOARCH, layerOf(gzipped(t, evil), good)), nil, fault.Tampered, "was promised"},
		"blob of the same length": {imageFrom(t, "linux", runtime.GOARCH, layerOf(good, good)), func(t *testing.T, blobs string, _ v1.Image) {
			overwrite(t, filepath.Join(blobs, hashOf(good).Hex), evil)
		}, fault.Tampered, "was promised"},
		"damaged blob": {imageFrom(t, "linux", runtime.GOARCH, layerOf(gzipped(t, good), good)), func(t *testing.T, blobs string, _ v1.Image) {
			b := gzipped(t, good)
			b[len(b)/2] ^= 0xff
			overwrite(t, filepath.Join(blobs, hashOf(gzipped(t, good)).Hex), b)
		}, fault.Tampered, "was promised"},
		"longer blob": {imageFrom(t, "linux", runtime.GOARCH, layerOf(good, good)), func(t *testing.T, blobs string, _ v1.Image) {
			overwrite(t, filepath.Join(blobs, hashOf(good).Hex), append(bytes.Clone(good), make([]byte, 1024)...))
		}, fault.Tampered, "longer"},
		"shorter blob": {imageFrom(t, "linux", runtime.GOARCH, layerOf(good, good)), func(t *testing.T, blobs string, _ v1.Image) {
			overwrite(t, filepath.Join(blobs, hashOf(good).Hex), good[:len(good)-512])
		}, fault.Tampered, "was promised"},
		"manifest": {imageOf(t, good), func(t *testing.T, blobs string, img v1.Image) {
			h, _ := img.Digest()
			raw, _ := imageOf(t, evil).RawManifest()
			overwrite(t, filepath.Join(blobs, h.Hex), raw)
		}, fault.Tampered, "was promised"},
		"configuration": {imageOf(t, good), func(t *testing.T, blobs string, img v1.Image) {
			h, _ := img.ConfigName()
			overwrite(t, filepath.Join(blobs, h.Hex), []byte("{}"))
		}, fault.Tampered, "was promised"},
		"junk after gzip": {imageFrom(t, "linux", runtime.GOARCH, layerOf(append(gzipped(t, good), "junk"...), good)), nil, fault.Invalid, "gzip"},
		"no layers":       {imageFrom(t, "linux", runtime.GOARCH), nil, fault.Invalid, "0 layers"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeLayout(t, test.img)
			if test.spoil != nil {
				test.spoil(t, filepath.Join(path, "blobs/sha256"), test.img)
			}
			s := store(t, Options{})
			_, err := prepare(s, "layout:"+path)
			wantFault(t, s, err, test.kind, test.words)
			if got := names(t, s.dir); len(got) != 1 {
				t.Errorf("kept: %q", got)
			}
		})
	}
}

func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Documents that mean two things, or ask for more than they should.
func TestBadManifests(t *testing.T) {
	for name, test := range map[string]struct {
		raw   string
		kind  fault.Kind
		words string
	}{
		"manifest and index in one": {`{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}`, fault.Invalid, "neither a manifest nor an index"},
		"neither":                   {`{"schemaVersion":2}`, fault.Invalid, "neither"},
		"not JSON":                  {`hello`, fault.Invalid, "cannot be read"},
		"weak digest":               {`{"layers":[],"config":{"digest":"sha512:` + strings.Repeat("a", 128) + `"}}`, fault.Invalid, ""},
		"path as digest":            {`{"layers":[],"config":{"digest":"sha256:../../../../etc/passwd"}}`, fault.Invalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeLayout(t, simple(t, "x"))
			h := hashOf([]byte(test.raw))
			if err := os.WriteFile(filepath.Join(path, "blobs/sha256", h.Hex), []byte(test.raw), 0o600); err != nil {
				t.Fatal(err)
			}
			s := store(t, Options{})
			_, err := prepare(s, "layout:"+path+"@"+h.String())
			wantFault(t, s, err, test.kind, test.words)
		})
	}
	t.Run("layer from elsewhere", func(t *testing.T) {
		img, err := mutate.Append(imageOf(t), mutate.Addendum{Layer: layerOf(tarOf(t), tarOf(t)), URLs: []string{"http://169.254.169.254/"}})
		if err != nil {
			t.Fatal(err)
		}
		s := store(t, Options{})
		_, err = prepare(s, "layout:"+writeLayout(t, img))
		wantFault(t, s, err, fault.Denied, "another address")
	})
	t.Run("limits", func(t *testing.T) {
		path := "layout:" + writeLayout(t, imageOf(t, tarOf(t, file("a", "12345")), tarOf(t, file("b", "67890"))))
		for words, o := range map[string]Options{"2 layers": {MaxLayers: 1}, "bytes": {MaxBytes: 9}, "entries": {MaxEntries: 1}} {
			s := store(t, o)
			_, err := prepare(s, path)
			wantFault(t, s, err, fault.Exhausted, words)
		}
	})
}

func TestRegistryFaults(t *testing.T) {
	img := simple(t, "one")
	layer := func(q *http.Request) bool {
		ls, _ := img.Layers()
		d, _ := ls[0].Digest()
		return strings.HasSuffix(q.URL.Path, d.String())
	}
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true }
	}
	for name, test := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		kind   fault.Kind
		words  string
	}{
		"not there":  {status(404), fault.NotFound, "does not have"},
		"private":    {status(403), fault.Denied, "refuses it to the public"},
		"password":   {status(401), fault.Denied, "refuses it to the public"},
		"broken":     {status(500), fault.NotFound, "status 500"},
		"other blob": {func(w http.ResponseWriter, q *http.Request) bool { return layer(q) && say(w, "something else") }, fault.Tampered, "promised"},
		"connection breaks": {func(w http.ResponseWriter, q *http.Request) bool {
			if layer(q) {
				w.Header().Set("Content-Length", "1000")
				say(w, "\x1f\x8b\x08")
			}
			return layer(q)
		}, fault.NotFound, "connection broke"},
		"redirect without TLS": {func(w http.ResponseWriter, q *http.Request) bool {
			if layer(q) {
				http.Redirect(w, q, "http://192.0.2.1/blob", http.StatusFound)
			}
			return layer(q)
		}, fault.Denied, "without TLS"},
		"token without TLS": {func(w http.ResponseWriter, q *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://192.0.2.1/token",service="x"`)
			w.WriteHeader(401)
			return true
		}, fault.Denied, "without TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			reg, s := serve(t), store(t, Options{})
			ref := reg.push(t, img)
			reg.before.Store(intercept(test.before))
			_, err := prepare(s, ref)
			wantFault(t, s, err, test.kind, test.words)
			if fault.HintOf(err) == "" {
				t.Errorf("no hint: %v", err)
			}
		})
	}
}

func say(w io.Writer, what string) bool { io.WriteString(w, what); return true }

func TestTransportWantsTLS(t *testing.T) {
	for _, test := range []struct {
		registry, url string
		ok            bool
	}{
		{"127.0.0.1:5000", "http://127.0.0.1:5000/", true},
		{"localhost:5000", "http://localhost:5000/", true},
		{"[::1]:5000", "http://[::1]:5000/", true},
		{"example.com", "https://example.com/", true},
		{"example.com", "https://cdn.example.net/", true},
		{"example.com", "http://example.com/", false},
		{"example.com", "http://127.0.0.1/", false},
		{"example.com", "https://127.0.0.1/", false},
		{"example.com", "https://[::ffff:127.0.0.1]/", false},
		{"10.0.0.1:5000", "http://10.0.0.1:5000/", false},
		{"build.local", "http://build.local/", false},
		{"127.0.0.1:5000", "http://169.254.169.254/", false},
		{"127.0.0.1.example.com", "http://127.0.0.1.example.com/", false},
	} {
		called := false
		tr := newTransport(test.registry).(*secureTransport)
		tr.next = roundTrip(func(*http.Request) (*http.Response, error) { called = true; return nil, errors.New("test") })
		q, err := http.NewRequest("GET", test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.RoundTrip(q); called != test.ok || !called && fault.KindOf(err) != fault.Denied {
			t.Errorf("%s → %s: %v", test.registry, test.url, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

func TestPrepareConcurrently(t *testing.T) {
	reg := serve(t)
	ref := reg.push(t, simple(t, "one"))
	dir := filepath.Join(t.TempDir(), "images")
	var pulled sync.Mutex
	blobs := 0
	reg.before.Store(intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		pulled.Lock()
		defer pulled.Unlock()
		if strings.Contains(q.URL.Path, "/manifests/") {
			blobs++
		}
		return false
	}))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			s, err := Open(dir, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			r, err := prepare(s, ref)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if raw, err := os.ReadFile(r.Path + "/usr/hello"); err != nil || string(raw) != "one" {
				t.Errorf("%q, %v", raw, err)
			}
		})
	}
	wait.Wait()
	if blobs != 1 {
		t.Errorf("pulled %d times", blobs)
	}
}

// slow makes the registry send a layer's first half, call reached, and hang.
func slow(t *testing.T, reg *counted, body []byte, reached func()) {
	reg.before.Store(intercept(func(w http.ResponseWriter, q *http.Request) bool {
		if !strings.HasSuffix(q.URL.Path, hashOf(body).String()) {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		reached()
		<-q.Context().Done()
		return true
	}))
}

// twoHalves is an image whose layer is far bigger than any buffer on its way.
func twoHalves(t *testing.T) (v1.Image, []byte) {
	raw := tarOf(t, file("first", strings.Repeat("1", 2<<20)), file("second", strings.Repeat("2", 2<<20)))
	return imageFrom(t, "linux", runtime.GOARCH, rawLayer{static.NewLayer(raw, types.OCIUncompressedLayer), hashOf(raw)}), raw
}

func TestPrepareCancelled(t *testing.T) {
	reg, s := serve(t), store(t, Options{})
	img, raw := twoHalves(t)
	ref := reg.push(t, img)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slow(t, reg, raw, cancel)
	_, err := s.Prepare(ctx, nacre.Image{Kind: nacre.ImageOCI, Reference: ref}, nil)
	wantFault(t, s, err, fault.Command, "stopped")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	reg.before.Store(intercept(nil))
	mustPrepare(t, s, ref)
}

// A second caller that waits for the first can be cancelled too.
func TestWaitingCancelled(t *testing.T) {
	s := store(t, Options{})
	ref := "layout:" + writeLayout(t, simple(t, "one"))
	img, _ := parseReference(ref)
	if err := img.open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer img.close()
	lock, err := s.lock(context.Background(), img.key())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err = s.Prepare(ctx, nacre.Image{Kind: nacre.ImageOCI, Reference: ref}, nil)
	wantFault(t, s, err, fault.Command, "stopped")
}

func TestProgress(t *testing.T) {
	var got []Status
	m := newMeter(func(s Status) { got = append(got, s) })
	m.begin([]layer{{size: 10}, {size: 20}})
	m.add(5)
	if len(got) != 0 {
		t.Error("told at once")
	}
	m.next = time.Now()
	m.status.Layer = 2
	m.add(7)
	m.add(1) // too soon
	if want := (Status{2, 2, 12, 30}); len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %v", got, want)
	}
	m = newMeter(nil)
	m.begin([]layer{{size: 10}, {size: -1}})
	m.next = time.Time{}
	m.add(1)
	if m.status.Total != 0 {
		t.Errorf("%+v", m.status)
	}
}

func TestListAndRemove(t *testing.T) {
	s := store(t, Options{})
	one, two := "layout:"+writeLayout(t, simple(t, "one")), "layout:"+writeLayout(t, simple(t, "twotwo"))
	r := mustPrepare(t, s, one)
	mustPrepare(t, s, two)
	list, err := s.List()
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, info := range list {
		if want := map[string]int64{one: 3, two: 6}[info.Reference]; info.Size != want || info.Entries != 2 || time.Since(info.Created) > time.Minute {
			t.Errorf("%+v", info)
		}
	}
	ctx := context.Background()
	err = s.Remove(ctx, r.Digest)
	wantFault(t, s, err, fault.Conflict, "uses it")
	wantHello(t, r, "one")
	r.Close()
	if err := s.Remove(ctx, r.Digest); err != nil {
		t.Fatal(err)
	}
	wantFault(t, s, s.Remove(ctx, r.Digest), fault.NotFound, "does not have it")
	wantFault(t, s, s.Remove(ctx, "../../etc"), fault.Invalid, "not a SHA-256")
	if list, err := s.List(); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	wantHello(t, mustPrepare(t, s, one), "one")
}

func TestDamagedEntry(t *testing.T) {
	s := store(t, Options{})
	ref := "layout:" + writeLayout(t, simple(t, "one"))
	r := mustPrepare(t, s, ref)
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.Path), recordName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := prepare(s, ref)
	wantFault(t, s, err, fault.Tampered, "is damaged")
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); fault.KindOf(err) != fault.Denied {
		t.Errorf("writable by others: %v", err)
	}
	if _, err := Open(write(t, nil), Options{}); err == nil || fault.HintOf(err) == "" {
		t.Errorf("a file: %v", err)
	}
	if os.Geteuid() == 0 {
		dir := t.TempDir()
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); fault.KindOf(err) != fault.Denied {
			t.Errorf("another user's: %v", err)
		}
	}
}
