package image

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"nacre/fault"
)

// Where an image comes from.
const (
	fromRegistry = iota
	fromLayout
	fromArchive
)

// reference is a parsed image reference.
type reference struct {
	text   string
	from   int
	path   string      // of a layout or archive
	name   name.Digest // of a registry
	digest v1.Hash     // zero for an unpinned layout or archive, until open

	blobs blobs    // of a registry or layout
	root  *os.Root // of a layout
	file  *os.File // of an archive
}

const digestHint = "a tag can be moved to another image: write NAME@sha256:… ; `docker buildx imagetools inspect NAME:TAG` or `skopeo inspect docker://NAME:TAG` prints the digest"

// parseReference reads a reference, refusing a registry's without a digest.
func parseReference(text string) (*reference, error) {
	if path, ok := strings.CutPrefix(text, "layout:"); ok {
		return parseLocal(text, path, fromLayout)
	}
	if path, ok := strings.CutPrefix(text, "archive:"); ok {
		return parseLocal(text, path, fromArchive)
	}
	if !strings.Contains(text, "@") {
		return nil, fault.New(fault.Invalid, "image %q: not pinned by a digest", text).WithHint(digestHint)
	}
	ref, err := name.NewDigest(text)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "image %q", text).WithHint(digestHint)
	}
	digest, err := parseDigest(text, ref.DigestStr())
	return &reference{text: text, from: fromRegistry, name: ref, digest: digest}, err
}

// parseLocal reads a layout's or archive's path and optional digest.
func parseLocal(text, path string, from int) (*reference, error) {
	ref := &reference{text: text, from: from}
	if i := strings.LastIndex(path, "@sha256:"); i >= 0 {
		var err error
		if ref.digest, err = parseDigest(text, path[i+1:]); err != nil {
			return nil, err
		}
		path = path[:i]
	}
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return nil, fault.New(fault.Invalid, "image %q: its path is not absolute", text).
			WithHint("write the whole path, such as layout:/srv/images/python")
	}
	ref.path = filepath.Clean(path)
	return ref, nil
}

// parseDigest accepts SHA-256 only.
func parseDigest(text, digest string) (v1.Hash, error) {
	h, err := v1.NewHash(digest)
	if err != nil || h.Algorithm != "sha256" {
		return v1.Hash{}, fault.New(fault.Invalid, "image %q: %q is not a SHA-256 digest", text, digest).
			WithHint("a digest is sha256: and 64 of 0-9a-f")
	}
	return h, nil
}

// open opens a local source and, where the reference names no digest, finds it:
// a layout's from its index, an archive's by hashing the file.
func (r *reference) open(ctx context.Context) error {
	var err error
	switch r.from {
	case fromRegistry:
		r.blobs, err = newRegistry(ctx, r)
	case fromLayout:
		if r.root, err = os.OpenRoot(r.path); err != nil {
			return fault.Wrap(openKind(err), err, "image %q", r.text).
				WithHint("layout: wants a folder with index.json and blobs/sha256/")
		}
		err = r.useLayout(r.root)
	case fromArchive:
		err = r.hashArchive(ctx)
	}
	return err
}

// close closes what open opened.
func (r *reference) close() {
	if r.root != nil {
		r.root.Close()
	}
	if r.file != nil {
		r.file.Close()
	}
}

// key is the name of the image in the store.
func (r *reference) key() string { return "sha256-" + r.digest.Hex }
