// Package image turns an image reference into a folder with an unpacked root
// file system, which an engine then uses as a read-only lower layer.
//
// An image is hostile input: so is every registry, archive and layout that
// holds one. What this package promises of the folder it returns:
//
//   - It is the image that was named. A registry reference must carry a
//     digest; every manifest, configuration, blob and unpacked layer is
//     hashed on the way in and compared with the document that names it.
//   - Nothing was written outside it. Each entry's parent is resolved by the
//     kernel (openat2, RESOLVE_IN_ROOT) and the entry is made beneath that
//     descriptor by its last name alone; files are created with O_EXCL, so no
//     link is ever written through.
//   - It belongs to the caller, whole: no chown, no setuid or setgid bit, no
//     extended attribute (hence no file capability and no overlay mark), no
//     device, fifo or socket; every directory is u+rwx and can be removed. What
//     was left out is told in Rootfs.Notes.
//   - It is bounded: bytes, entries, layers and path lengths (Options).
//   - It is complete. Images are unpacked beside the store's entries and
//     renamed into place after a sync; whatever a killed process leaves is a
//     temporary folder whose lock is free, and the next Prepare removes it.
//
// References are NAME@sha256:… for a registry, layout:PATH for an OCI image
// layout, archive:PATH for a tar of such a layout or of `docker save`. A
// layout may be followed by @sha256:… of one of its images, an archive by that
// of the file. Registries are spoken to over TLS
// (plain HTTP only to this machine's loopback) and without credentials: no
// key-chain and no configuration file of another program is read.
//
// The unpacker is our own on purpose: the maintained ones resolve paths as
// strings in user space and act on them later; see docs/IMAGES.md.
package image

import (
	"cmp"
	"context"
	"os"

	"nacre"
	"nacre/fault"
)

// Options bounds what an image may cost. A zero field means its default.
type Options struct {
	MaxBytes   int64 // unpacked, all layers together; 16 GiB
	MaxEntries int64 // files, folders and links of all layers; 1,000,000
	MaxLayers  int   // 256
	MaxPath    int   // bytes of a path inside the image; 1024
}

// defaults returns o with every zero field set to its default.
func (o Options) defaults() Options {
	return Options{cmp.Or(o.MaxBytes, 16<<30), cmp.Or(o.MaxEntries, 1_000_000),
		cmp.Or(o.MaxLayers, 256), cmp.Or(o.MaxPath, 1024)}
}

// Config is what an image says about itself. It is untrusted, is told to the
// owner as information, and grants nothing.
type Config struct {
	Architecture string   `json:"architecture"`
	Env          []string `json:"env,omitempty"`
	Entrypoint   []string `json:"entrypoint,omitempty"`
	Cmd          []string `json:"cmd,omitempty"`
	Workdir      string   `json:"workdir,omitempty"`
	User         string   `json:"user,omitempty"`
}

// Rootfs is an unpacked image. It keeps the image from being removed until it
// is closed: keep it open for as long as a sandbox uses the folder.
type Rootfs struct {
	Path   string   // the root file system's folder
	Digest string   // sha256:… of the manifest or index that was named, or of the archive
	Notes  []string // what was left out or stripped
	Config Config
	hold   *os.File // the entry's folder, share-locked
}

// Open opens the root file system by descriptor, through the entry that this
// Rootfs holds, whatever its path has become.
func (r Rootfs) Open() (*os.File, error) {
	if r.hold == nil {
		return nil, fault.New(fault.Internal, "image: no root file system was prepared")
	}
	return openFolder(r.hold, rootfsName, r.Path)
}

// Close lets the image be removed again.
func (r Rootfs) Close() error {
	if r.hold == nil {
		return nil
	}
	return r.hold.Close()
}

// Held is what keeps the image from being removed while it, or a duplicate, is
// open; nil where nothing does.
func (r Rootfs) Held() *os.File { return r.hold }

// Prepare returns the image's root file system, pulling and unpacking it first
// where the store does not have it. A cancelled context leaves nothing behind.
func (s *Store) Prepare(ctx context.Context, img nacre.Image, progress Progress) (Rootfs, error) {
	if img.Kind != nacre.ImageOCI {
		return Rootfs{}, fault.New(fault.Internal, "image: asked to unpack an image of kind %q", img.Kind)
	}
	ref, err := parseReference(img.Reference)
	if err != nil {
		return Rootfs{}, err
	}
	defer ref.close()
	if err := ref.open(ctx); err != nil {
		return Rootfs{}, ended(ctx, err)
	}
	s.sweep()
	lock, err := s.lock(ctx, ref.key())
	if err != nil {
		return Rootfs{}, err
	}
	defer lock.Close()
	if rootfs, ok, err := s.entry(ref.key()); ok || err != nil {
		return rootfs, err
	}
	temp, err := s.temp()
	if err != nil {
		return Rootfs{}, err
	}
	defer temp.discard()
	rootfs, err := s.build(ctx, ref, temp, newMeter(progress))
	return rootfs, ended(ctx, err)
}

// ended prefers the context's end to the many errors that it causes.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fault.Wrap(fault.Command, ctx.Err(), "image: preparing it was stopped")
	}
	return err
}
