package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"nacre/fault"
)

// maxDocument bounds manifests, indexes and configurations.
const maxDocument = 4 << 20

// maxNesting bounds indexes within indexes.
const maxNesting = 3

// source is an image whose every part is pinned by a digest.
type source struct {
	config v1.ConfigFile
	layers []layer
}

// layer is one layer still to be read.
type layer struct {
	blob   v1.Hash // zero where the source has none (docker save)
	size   int64   // of the blob, -1 if not told
	diffID v1.Hash // of the unpacked tar
	open   func(context.Context) (io.ReadCloser, error)
}

// blobs is where documents and layers come from. What it returns is not
// trusted: the caller checks sizes and digests.
type blobs interface {
	document(context.Context, v1.Hash) (io.ReadCloser, error)
	blob(context.Context, v1.Hash) (io.ReadCloser, error)
}

// fromBlobs resolves the manifest or index with the digest.
func (s *Store) fromBlobs(ctx context.Context, ref *reference, b blobs, h v1.Hash) (source, error) {
	manifest, err := findManifest(ctx, ref, b, h, 0)
	if err != nil {
		return source{}, err
	}
	var src source
	raw, err := readDocument(ctx, ref, b.blob, manifest.Config.Digest)
	if err != nil {
		return source{}, err
	}
	if err := parse(ref, raw, &src.config); err != nil {
		return source{}, err
	}
	for _, d := range manifest.Layers {
		if len(d.URLs) != 0 {
			return source{}, fault.New(fault.Denied, "image %q: a layer asks to be fetched from another address", ref.text).
				WithHint("only layers that the registry itself holds are used")
		}
		src.layers = append(src.layers, layer{blob: d.Digest, size: d.Size,
			open: func(ctx context.Context) (io.ReadCloser, error) { return b.blob(ctx, d.Digest) }})
	}
	return src, s.check(ref, src)
}

// findManifest follows indexes to the manifest for this machine. It goes by
// what a document is, never by the type that its sender gives it.
func findManifest(ctx context.Context, ref *reference, b blobs, h v1.Hash, depth int) (*v1.Manifest, error) {
	raw, err := readDocument(ctx, ref, b.document, h)
	if err != nil {
		return nil, err
	}
	var kind struct{ Manifests, Layers, Config json.RawMessage }
	if err := parse(ref, raw, &kind); err != nil {
		return nil, err
	}
	isIndex, isManifest := kind.Manifests != nil, kind.Layers != nil || kind.Config != nil
	if isIndex == isManifest || depth > maxNesting {
		return nil, fault.New(fault.Invalid, "image %q: %s is neither a manifest nor an index", ref.text, h)
	}
	if isIndex {
		var index v1.IndexManifest
		if err := parse(ref, raw, &index); err != nil {
			return nil, err
		}
		if h, err = pick(ref, index.Manifests); err != nil {
			return nil, err
		}
		return findManifest(ctx, ref, b, h, depth+1)
	}
	manifest := new(v1.Manifest)
	return manifest, parse(ref, raw, manifest)
}

// pick chooses the one entry of an index that fits this machine.
func pick(ref *reference, entries []v1.Descriptor) (v1.Hash, error) {
	var fit []v1.Hash
	var there []string
	for _, d := range entries {
		p := d.Platform
		if p != nil && p.OS == "unknown" { // attestations
			continue
		}
		if p == nil || fits(p) {
			fit = append(fit, d.Digest)
		} else {
			there = append(there, p.String())
		}
	}
	slices.SortFunc(fit, func(a, b v1.Hash) int { return strings.Compare(a.Hex, b.Hex) })
	fit = slices.Compact(fit)
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		return v1.Hash{}, fault.New(fault.Unsupported, "image %q: nothing in it for linux/%s (it has: %q)", ref.text, runtime.GOARCH, there).
			WithHint("choose an image that is built for this machine")
	default:
		return v1.Hash{}, fault.New(fault.Invalid, "image %q: it holds several images for this machine", ref.text).
			WithHint("name one by its digest, such as %s", fit[0])
	}
}

// fits tells whether a platform is this machine's. Variants beyond the
// baseline (amd64 v3 for one) may use instructions that it lacks.
func fits(p *v1.Platform) bool {
	base := map[string]string{"amd64": "v1", "arm64": "v8"}[runtime.GOARCH]
	return p.OS == "linux" && p.Architecture == runtime.GOARCH && (p.Variant == "" || p.Variant == base)
}

// check compares a configuration with the machine and the layers, and the
// whole with the store's limits.
func (s *Store) check(ref *reference, src source) error {
	p := v1.Platform{OS: src.config.OS, Architecture: src.config.Architecture, Variant: src.config.Variant}
	if !fits(&p) {
		return fault.New(fault.Unsupported, "image %q: it is for %q; this machine is linux/%s", ref.text, p.String(), runtime.GOARCH).
			WithHint("choose an image that is built for this machine")
	}
	ids := src.config.RootFS.DiffIDs
	if len(src.layers) == 0 || len(ids) != len(src.layers) {
		return fault.New(fault.Invalid, "image %q: %d layers, %d in its configuration", ref.text, len(src.layers), len(ids))
	}
	if len(ids) > s.options.MaxLayers {
		return tooMuch(ref.text, "%d layers, over the limit of %d", len(ids), s.options.MaxLayers)
	}
	for i, id := range ids {
		if id.Algorithm != "sha256" || src.layers[i].blob.Algorithm != "sha256" && src.layers[i].blob != (v1.Hash{}) {
			return fault.New(fault.Invalid, "image %q: layer %d is not named by SHA-256", ref.text, i+1)
		}
		if src.layers[i].size > s.options.MaxBytes {
			return tooMuch(ref.text, "layer %d has %d bytes, over the limit of %d", i+1, src.layers[i].size, s.options.MaxBytes)
		}
		src.layers[i].diffID = id
	}
	return nil
}

// readDocument reads a small document and verifies its digest.
func readDocument(ctx context.Context, ref *reference, open func(context.Context, v1.Hash) (io.ReadCloser, error), h v1.Hash) ([]byte, error) {
	if h.Algorithm != "sha256" {
		return nil, fault.New(fault.Invalid, "image %q: a document is not named by SHA-256", ref.text)
	}
	in, err := open(ctx, h)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	raw, err := readSmall(ref, h.String(), in)
	if err != nil {
		return nil, err
	}
	if got, _, err := v1.SHA256(bytes.NewReader(raw)); err != nil || got != h {
		return nil, tampered(ref.text, h, got)
	}
	return raw, nil
}

// readSmall reads a document.
func readSmall(ref *reference, what string, in io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return nil, fault.Wrap(readKind(err), err, "image %q: reading %q", ref.text, what)
	}
	if len(raw) > maxDocument {
		return nil, tooMuch(ref.text, "%q is over the limit of %d bytes for a document", what, maxDocument)
	}
	return raw, nil
}

// parse decodes a document of an image.
func parse(ref *reference, raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fault.Wrap(fault.Invalid, err, "image %q: a document in it cannot be read", ref.text)
	}
	return nil
}

func tooMuch(image, format string, args ...any) error {
	return fault.New(fault.Exhausted, "image %q: "+format, append([]any{image}, args...)...).
		WithHint("use a smaller image; the limits are there against images made to fill the disk")
}

func tampered(image string, want, got v1.Hash) error {
	return fault.New(fault.Tampered, "image %q: %s was promised, %s came", image, want, got).
		WithHint("the source is damaged or was tampered with; nothing of it was kept")
}

// openKind classifies an error of opening the owner's file.
func openKind(err error) fault.Kind {
	if errors.Is(err, os.ErrNotExist) {
		return fault.NotFound
	}
	return fault.Invalid
}
