package image

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"nacre/fault"
)

// layoutBlobs reads blobs/sha256 of an OCI image layout, beneath its root.
type layoutBlobs struct {
	text string
	root *os.Root
}

func (l layoutBlobs) document(ctx context.Context, h v1.Hash) (io.ReadCloser, error) {
	return l.blob(ctx, h)
}

func (l layoutBlobs) blob(_ context.Context, h v1.Hash) (io.ReadCloser, error) {
	return openRegular(l.text, l.root, "blobs/sha256/"+h.Hex)
}

// useLayout reads from the layout, and picks its only image if none is named.
func (r *reference) useLayout(root *os.Root) (err error) {
	r.blobs = layoutBlobs{r.text, root}
	if r.digest == (v1.Hash{}) {
		r.digest, err = r.pickFrom(root)
	}
	return err
}

// pickFrom finds the only image of a layout's index.
func (r *reference) pickFrom(root *os.Root) (v1.Hash, error) {
	var index v1.IndexManifest
	if err := readJSON(r, root, "index.json", &index); err != nil {
		return v1.Hash{}, err
	}
	return pick(r, index.Manifests)
}

// hashArchive opens and hashes the archive.
func (r *reference) hashArchive(ctx context.Context) error {
	file, err := os.OpenFile(r.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fault.Wrap(openKind(err), err, "image %q", r.text)
	}
	r.file = file
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return fault.New(fault.Invalid, "image %q: not a regular file", r.text).
			WithHint("archive: wants a tar of an OCI image layout or of `docker save`; layout: wants a folder")
	}
	in := newCounting(ctx, file)
	if _, err = io.Copy(io.Discard, in); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "image %q", r.text)
	}
	if want := r.digest; want != (v1.Hash{}) && want != in.hash() {
		return tampered(r.text, want, in.hash())
	}
	r.digest = in.hash()
	return nil
}

// fromArchive unpacks an archive into the temporary folder, with the same
// unpacker and limits as a layer, and reads what it finds there.
func (s *Store) fromArchive(ctx context.Context, ref *reference, t *temp) (source, error) {
	dir, err := t.mkdir("archive")
	if err != nil {
		return source{}, err
	}
	defer dir.Close()
	in := newCounting(ctx, ref.file)
	u := newUnpacker(ref.text, dir, newBudget(s.options))
	if _, err := u.stream(in); err != nil {
		return source{}, err
	}
	if _, err := io.Copy(io.Discard, in); err != nil || in.hash() != ref.digest {
		return source{}, tampered(ref.text, ref.digest, in.hash()) // it changed since it was hashed
	}
	if ref.root, err = os.OpenRoot(dir.Name()); err != nil {
		return source{}, fault.Wrap(fault.Internal, err, "image %q", ref.text)
	}
	if _, err := ref.root.Lstat("index.json"); err != nil {
		return s.fromDockerSave(ref)
	}
	h, err := ref.pickFrom(ref.root)
	if err != nil {
		return source{}, err
	}
	return s.fromBlobs(ctx, ref, layoutBlobs{ref.text, ref.root}, h)
}

// fromDockerSave reads the older form of `docker save`: manifest.json, a
// configuration and layers as named there.
func (s *Store) fromDockerSave(ref *reference) (source, error) {
	var saved []struct {
		Config string
		Layers []string
	}
	if err := readJSON(ref, ref.root, "manifest.json", &saved); err != nil {
		return source{}, err
	}
	if len(saved) != 1 {
		return source{}, fault.New(fault.Invalid, "image %q: it holds %d images", ref.text, len(saved)).
			WithHint("save one image to an archive")
	}
	var src source
	if err := readJSON(ref, ref.root, saved[0].Config, &src.config); err != nil {
		return source{}, err
	}
	for _, path := range saved[0].Layers {
		src.layers = append(src.layers, layer{size: -1, open: func(context.Context) (io.ReadCloser, error) {
			return openRegular(ref.text, ref.root, path)
		}})
	}
	return src, s.check(ref, src)
}

// readJSON decodes a small file of a layout or archive.
func readJSON(ref *reference, root *os.Root, path string, into any) error {
	file, err := openRegular(ref.text, root, path)
	if err != nil {
		return err
	}
	defer file.Close()
	raw, err := readSmall(ref, path, file)
	if err != nil {
		return err
	}
	return parse(ref, raw, into)
}

// openRegular opens a regular file beneath the root, never waiting for one
// that only looks like a file.
func openRegular(text string, root *os.Root, path string) (*os.File, error) {
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fault.Wrap(openKind(err), err, "image %q: it lacks %q", text, strings.ToValidUTF8(path, "?")).
			WithHint("it is incomplete, or neither an OCI image layout nor made by `docker save`")
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		file.Close()
		return nil, fault.Wrap(fault.Invalid, err, "image %q: %q", text, path)
	}
	return file, nil
}
