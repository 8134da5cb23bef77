package native

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
	"nacre/compile"
	"nacre/fault"
)

// TestNamesVanish: where a name that is to be masked is gone or another when it is to be
// masked, or when the posture is read, nothing runs, and the refusal is in the words by
// which nacre run tries it again (cli: vanished).
func TestNamesVanish(t *testing.T) {
	replaced := func(path string) error {
		other := filepath.Join(filepath.Dir(path), "new")
		return errors.Join(os.WriteFile(other, []byte("SECRET"), 0o600), os.Rename(other, path))
	}
	for _, c := range []struct {
		name   string
		change func(path string) error // before the sandbox is built
		later  func(path string) error // once it is
		kind   fault.Kind
		named  string
	}{
		{"nothing", nil, nil, "", ""},
		{"removed", os.Remove, nil, fault.Unsupported, "the sandbox cannot be built: folders and files: mask at /work/project/deep/.env: the folder changed while it was read: no such file"},
		{"replaced by a name that is masked too", replaced, nil, "", ""},
		{"its folder removed", func(p string) error { return os.RemoveAll(filepath.Dir(p)) }, nil, fault.Unsupported, "the sandbox cannot be built: folders and files: mask at /work/project/deep/.env: the folder changed"},
		{"its folder a file", func(p string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(p)), os.WriteFile(filepath.Dir(p), nil, 0o600))
		}, nil, fault.Unsupported, "the sandbox cannot be built: folders and files: mask at /work/project/deep/.env: the folder changed"},
		{"its folder a link", func(p string) error {
			return errors.Join(os.Rename(filepath.Dir(p), filepath.Dir(p)+"2"), os.Symlink("deep2", filepath.Dir(p)))
		}, nil, fault.Unsupported, "the sandbox cannot be built: folders and files: mask at /work/project/deep/.env: the folder changed"},
		{"removed later", nil, os.Remove, fault.Tampered, "mounts, masks, guards, all others: expected in place, found /work/project/deep/.env is not covered: "},
		{"replaced later", nil, replaced, fault.Tampered, "mounts, masks, guards, all others: expected in place, found /work/project/deep/.env is not covered: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "deep", ".env")
			if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("SECRET"), 0o600)); err != nil {
				t.Fatal(err)
			}
			e, audit := newEngine(t)
			p := granted(t, dir, nacre.Read, "cat", "/work/project/deep/.env")
			p.Digest = compile.Digest(p)
			b := e.box(p)
			do := func(change func(string) error) func(context.Context) error {
				return func(context.Context) error {
					if change == nil {
						return nil
					}
					return change(path)
				}
			}
			var out buffer
			box, err := b.start(context.Background(), nacre.Streams{Out: &out, Err: &out}, b.sweep, b.register, b.announce, b.limit, b.prepare,
				do(c.change), b.launch, b.await, do(c.later), b.verify, b.admitted, b.keepMasked)
			if c.named == "" {
				if err != nil {
					t.Fatal(err)
				}
				if exit, err := box.Wait(); err != nil || exit.Code != 1 || strings.Contains(out.String(), "SECRET") {
					t.Errorf("%+v, %v: %s", exit, err, out.String())
				}
				return
			}
			if err == nil {
				_ = box.Stop(0)
			}
			if err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.named) || out.String() != "" {
				t.Errorf("%v (of kind %q), want %q: %s; printed: %s", err, fault.KindOf(err), c.kind, c.named, out.String())
			}
			if events := audit.seen(); events[len(events)-1].Kind != "sandbox.refused" {
				t.Errorf("recorded last: %+v", events[len(events)-1])
			}
		})
	}
}
