package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"nacre"
	"nacre/image"
)

// images prepares root file systems: a folder as it is, an image out of the
// owner's cache. The cache is opened only when a plan asks for one.
type images struct {
	app *App
	dir string
}

// Prepare gives the folder of an image, held until the closer is closed.
func (i images) Prepare(ctx context.Context, asked nacre.Image) (string, io.Closer, error) {
	if asked.Kind == nacre.ImageDirectory {
		f, err := image.CheckDirectory(asked.Reference)
		return asked.Reference, f, err
	}
	store, err := image.Open(i.dir, image.Options{})
	if err != nil {
		return "", nil, err
	}
	root, err := store.Prepare(ctx, asked, i.progress())
	if err != nil {
		_ = store.Close()
		return "", nil, err
	}
	return root.Path, closers{root, store}, nil
}

// closers are closed together, in order.
type closers []io.Closer

func (c closers) Close() error {
	var first error
	for _, each := range c {
		if err := each.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// progress tells on standard error how far a download is, from the second
// second on.
func (i images) progress() image.Progress {
	next := time.Now().Add(time.Second)
	return func(s image.Status) {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			fmt.Fprintf(i.app.Err, "image: layer %d of %d, %d of %d MiB\n", s.Layer, s.Layers, s.Done>>20, s.Total>>20)
		}
	}
}

func (o owner) imageDir() string { return filepath.Join(o.state, "images") }
