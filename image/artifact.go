package image

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"nacre/fault"
)

// MaxArtifact bounds the one file of an artifact, as it comes.
const MaxArtifact = 256 << 20

// Artifact fetches an artifact of a registry that is one file, such as `oras
// push` makes of a folder, into a nameless file below dir, and says by which
// digest it was found: a tag may lead elsewhere tomorrow. The manifest is
// compared with that digest, the file with the manifest. What the file holds is
// for somebody else to judge.
func Artifact(ctx context.Context, written, dir string) (file *os.File, digest string, err error) {
	ref, err := name.ParseReference(written, name.StrictValidation)
	if err != nil {
		return nil, "", fault.Wrap(fault.Invalid, err, "artifact %q", written).WithHint("expected NAME:TAG or NAME@sha256:…")
	}
	source := &reference{text: written, from: fromRegistry}
	if source.digest, err = resolveTag(ctx, written, ref); err != nil {
		return nil, "", ended(ctx, err)
	}
	source.name = ref.Context().Digest(source.digest.String())
	registry, err := newRegistry(ctx, source)
	if err != nil {
		return nil, "", err
	}
	layer, err := onlyLayer(ctx, source, registry)
	if err != nil {
		return nil, "", ended(ctx, err)
	}
	file, err = fetchBlob(ctx, source, registry, layer, dir)
	return file, source.digest.String(), ended(ctx, err)
}

// resolveTag is the digest that a reference names, or that its tag leads to now.
func resolveTag(ctx context.Context, written string, ref name.Reference) (v1.Hash, error) {
	if d, ok := ref.(name.Digest); ok {
		return parseDigest(written, d.DigestStr())
	}
	registry := &registry{text: written, repo: ref.Context()}
	d, err := remote.Head(ref, remote.WithContext(ctx), remote.WithTransport(newTransport(ref.Context().RegistryStr())), remote.WithUserAgent("nacre"))
	if err != nil {
		return v1.Hash{}, registry.explain(err, v1.Hash{Algorithm: "the tag", Hex: ref.Identifier()})
	}
	return parseDigest(written, d.Digest.String())
}

// onlyLayer reads the artifact's manifest, which must list one file.
func onlyLayer(ctx context.Context, ref *reference, b blobs) (v1.Descriptor, error) {
	raw, err := readDocument(ctx, ref, b.document, ref.digest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	var manifest v1.Manifest
	if err := parse(ref, raw, &manifest); err != nil {
		return v1.Descriptor{}, err
	}
	if len(manifest.Layers) != 1 {
		return v1.Descriptor{}, fault.New(fault.Invalid, "artifact %q: it holds %d files, not one", ref.text, len(manifest.Layers)).
			WithHint("expected an artifact with one archive, as oras push NAME:TAG FOLDER makes one")
	}
	layer := manifest.Layers[0]
	switch {
	case len(layer.URLs) != 0:
		return layer, fault.New(fault.Denied, "artifact %q: its file asks to be fetched from another address", ref.text)
	case layer.Digest.Algorithm != "sha256":
		return layer, fault.New(fault.Invalid, "artifact %q: its file is not named by SHA-256", ref.text)
	case layer.Size < 0 || layer.Size > MaxArtifact:
		return layer, tooMuch(ref.text, "its file has %d bytes, over the limit of %d", layer.Size, int64(MaxArtifact))
	}
	return layer, nil
}

func fetchBlob(ctx context.Context, ref *reference, b blobs, layer v1.Descriptor, dir string) (*os.File, error) {
	in, err := b.blob(ctx, layer.Digest)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "artifact %q", ref.text)
	}
	file, err := os.CreateTemp(dir, tempPrefix)
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "artifact %q", ref.text)
	}
	sum := newCounting(ctx, in)
	sum.source, sum.limit = true, layer.Size
	_, err = io.Copy(file, sum)
	if err = errors.Join(err, os.Remove(file.Name())); err == nil && sum.hash() != layer.Digest {
		err = tampered(ref.text, layer.Digest, sum.hash())
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, fault.Wrap(readKind(err), err, "artifact %q", ref.text)
	}
	return file, nil
}
