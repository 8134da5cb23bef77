package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"nacre/fault"
)

// FuzzReference: what is taken for a reference is pinned, or names a file by its
// whole path.
func FuzzReference(f *testing.F) {
	hash := strings.Repeat("0123456789abcdef", 4)
	for _, text := range []string{"debian@sha256:" + hash, "debian:12", "layout:/srv/x", "layout:x", "archive:/a@sha256:" + hash, "archive:/a@sha256:1",
		"localhost:5000/a/b@sha256:" + hash, "x@sha512:" + hash + hash, "a@b@sha256:" + hash, "layout:/\x00", "http://x@sha256:" + hash} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := parseReference(text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		pinned := ref.digest.Algorithm == "sha256" && len(ref.digest.Hex) == 64
		if ref.from == fromRegistry && !pinned || ref.from != fromRegistry && (!strings.HasPrefix(ref.path, "/") || strings.Contains(ref.path, "\x00")) ||
			strings.ContainsAny(strings.TrimPrefix(ref.key(), "sha256-"), "/.") {
			t.Errorf("%q: %+v", text, ref)
		}
	})
}

// papers are documents that name each other by digest.
type papers map[v1.Hash][]byte

func (p papers) document(_ context.Context, h v1.Hash) (io.ReadCloser, error) {
	if b, ok := p[h]; ok {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	return nil, os.ErrNotExist
}

func (p papers) blob(ctx context.Context, h v1.Hash) (io.ReadCloser, error) {
	return p.document(ctx, h)
}

// FuzzDocuments: indexes, manifests and configurations of a hostile registry.
// The script's parts are documents; "DIGEST" in one is the next one's. What is
// accepted keeps to the limits, and every part of it is named by SHA-256.
func FuzzDocuments(f *testing.F) {
	const sum = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	const config = "\n--\n" + `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + sum + `"]}}`
	const manifest = `{"config":{"digest":"DIGEST"},"layers":[{"digest":"` + sum + `","size":1}]}` + config
	f.Add(manifest)
	f.Add(`{"manifests":[{"digest":"DIGEST","platform":{"os":"linux","architecture":"amd64"}}]}` + "\n--\n" + manifest)
	f.Add(strings.Repeat(`{"manifests":[{"digest":"DIGEST"}]}`+"\n--\n", 6) + manifest)
	f.Add(`{"manifests":[],"layers":[]}`)
	f.Add(strings.Replace(manifest, `"size":1`, `"size":-1,"urls":["http://x"]`, 1))
	f.Add(strings.Replace(manifest, `"size":1`, `"size":9223372036854775807`, 1))
	f.Fuzz(func(t *testing.T, script string) {
		p, first := papers{}, v1.Hash{}
		parts := strings.Split(script, "\n--\n")
		for i := range parts {
			text := []byte(strings.ReplaceAll(parts[len(parts)-1-i], "DIGEST", fmt.Sprintf("sha256:%s", first.Hex)))
			first = hashOf(text)
			p[first] = text
		}
		s := &Store{options: Options{MaxBytes: 1000, MaxEntries: 10, MaxLayers: 3, MaxPath: 100}}
		src, err := s.fromBlobs(context.Background(), &reference{text: "x"}, p, first)
		if err != nil {
			return
		}
		if n := len(src.layers); n == 0 || n > 3 {
			t.Errorf("%d layers", n)
		}
		for _, l := range src.layers {
			if l.size > 1000 || l.blob.Algorithm != "sha256" || l.diffID.Algorithm != "sha256" {
				t.Errorf("%+v", l)
			}
		}
	})
}
