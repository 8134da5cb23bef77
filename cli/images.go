package cli

import (
	"context"
	"io"
	"path/filepath"

	"nacre"
	"nacre/image/ask"
	"nacre/install"
)

// images prepares root file systems out of the owner's cache, by nacre-image.
type images struct {
	app *App
	dir string
}

// Prepare gives the folder of an image, held until the closer is closed.
func (i images) Prepare(ctx context.Context, asked nacre.Image) (string, io.Closer, error) {
	program, err := install.Beside(i.app.Program, "nacre-image")
	if err != nil {
		return "", nil, err
	}
	folder, held, err := ask.Prepare(ctx, program, i.dir, asked, i.app.Err)
	if err != nil {
		return "", nil, err
	}
	return folder, held, nil
}

func (o owner) imageDir() string { return filepath.Join(o.state, "images") }
