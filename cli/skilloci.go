package cli

import (
	"context"

	"nacre"
	"nacre/image/ask"
	"nacre/install"
	"nacre/skill/store"
)

// fetchArtifact has nacre-image fetch the one file of an artifact, which is an
// archive, and unpacks it.
func fetchArtifact(ctx context.Context, app *App, reference string, st *store.Staged, sub string) error {
	who, err := app.owner()
	if err != nil {
		return err
	}
	program, err := install.Beside(app.Program, "nacre-image")
	if err != nil {
		return err
	}
	digest, file, err := ask.Prepare(ctx, program, who.imageDir(), nacre.Image{Kind: ask.Artifact, Reference: reference}, app.Err)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := st.UnpackTar(file, sub); err != nil {
		return err
	}
	st.Revision = digest
	return nil
}
