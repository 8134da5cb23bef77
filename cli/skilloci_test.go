package cli_test

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	registrytest "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// registry FILE… serves a registry, at $REGISTRY, with each file as the artifact
// acme/greet:FILE.
func registry(ts *testscript.TestScript, neg bool, files []string) {
	if neg {
		ts.Fatalf("usage: registry FILE...")
	}
	s := httptest.NewServer(registrytest.New(registrytest.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	ts.Setenv("REGISTRY", host)
	for _, f := range files {
		text, err := os.ReadFile(ts.MkAbs(f))
		ts.Check(err)
		img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
			static.NewLayer(text, "application/vnd.oci.image.layer.v1.tar+gzip"))
		ts.Check(err)
		tag, err := name.NewTag(host + "/acme/greet:" + f)
		ts.Check(err)
		ts.Check(remote.Write(tag, img))
	}
}
