package image

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"nacre/fault"
)

// artifact pushes files as one artifact, under a tag.
func (c *counted) artifact(t *testing.T, tag string, files ...string) (digest string) {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.oci.empty.v1+json")
	for _, f := range files {
		var err error
		if img, err = mutate.AppendLayers(img, static.NewLayer([]byte(f), "application/vnd.oci.image.layer.v1.tar+gzip")); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := name.NewTag(c.host + "/acme/greet:" + tag)
	if err == nil {
		err = remote.Write(ref, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

func TestArtifact(t *testing.T) {
	c := serve(t)
	digest := c.artifact(t, "v1", "what is in it")
	c.artifact(t, "two", "a", "b")
	c.artifact(t, "none")
	dir := t.TempDir()
	for _, written := range []string{c.host + "/acme/greet:v1", c.host + "/acme/greet@" + digest} {
		f, got, err := Artifact(t.Context(), written, dir)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		f.Close()
		if err != nil || string(text) != "what is in it" || got != digest {
			t.Errorf("%s: %q, %s, %v", written, text, got, err)
		}
	}
	for name, c := range map[string]struct {
		written string
		kind    fault.Kind
	}{
		"two files":   {c.host + "/acme/greet:two", fault.Invalid},
		"none":        {c.host + "/acme/greet:none", fault.Invalid},
		"another tag": {c.host + "/acme/greet:v2", fault.NotFound},
		"another":     {c.host + "/acme/greet@sha256:" + strings.Repeat("0", 64), fault.NotFound},
		"no tag":      {c.host + "/acme/greet", fault.Invalid},
		"a word":      {"greet", fault.Invalid},
		"not HTTPS":   {"registry.invalid:80/acme/greet:v1", fault.NotFound},
	} {
		if f, _, err := Artifact(t.Context(), c.written, dir); fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	left(t, dir)
}

// TestArtifactChanged: a registry that answers with something else is found out.
func TestArtifactChanged(t *testing.T) {
	c := serve(t)
	digest := c.artifact(t, "v1", "what is in it")
	dir := t.TempDir()
	for name, answer := range map[string]struct{ path, body string }{
		"another file":     {"/blobs/", "what is in IT"},
		"a longer file":    {"/blobs/", "what is in it, and more"},
		"a shorter file":   {"/blobs/", "what"},
		"another manifest": {"/manifests/", `{"schemaVersion":2,"layers":[]}`},
	} {
		c.before.Store(intercept(func(w http.ResponseWriter, q *http.Request) bool {
			if q.Method != http.MethodGet || !strings.Contains(q.URL.Path, answer.path) {
				return false
			}
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			_, err := io.WriteString(w, answer.body)
			return err == nil
		}))
		if f, _, err := Artifact(t.Context(), c.host+"/acme/greet@"+digest, dir); err == nil {
			t.Errorf("%s: accepted: %v", name, f)
		}
	}
	left(t, dir)
}

func left(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
