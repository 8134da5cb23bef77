package machine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// recipe is what an image or kernel is made from; its hash is its place in
// the cache.
type recipe struct {
	Version, Kind, Suite, Arch, Included string
	Finish                               []Step
	Drivers                              []string
}

func (r recipe) name() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of strings always marshals
	}
	return fmt.Sprintf("%s-%s-%s-%.10x", r.Kind, r.Suite, r.Arch, sha256.Sum256(b))
}

// image is what a machine boots from: two folders of the cache.
type image struct{ kernel, root string }

// image returns the spec's image and kernel, made now if the cache has none.
func (s Spec) image(ctx context.Context) (image, error) {
	var img image
	var err error
	img.kernel, err = s.cached(recipe{Version: "1", Kind: "kernel", Suite: s.Kernel, Arch: s.Arch, Drivers: drivers},
		func(dir string) error { return s.makeKernel(ctx, dir) })
	if err != nil {
		return img, err
	}
	img.root, err = s.cached(recipe{Version: "1", Kind: "root", Suite: s.Release, Arch: s.Arch, Included: included, Finish: finish},
		func(dir string) error { return s.makeRoot(ctx, img.kernel, dir) })
	return img, err
}

// cached returns the recipe's folder in the cache. make fills a new folder,
// which gets its name only when it is whole; a lock keeps others waiting.
func (s Spec) cached(r recipe, make func(dir string) error) (string, error) {
	dir := filepath.Join(s.Cache, r.name())
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // also where the cache is another user's
	}
	if err := os.MkdirAll(s.Cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // made while we waited
	}
	start := time.Now()
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := os.Mkdir(part, 0o755); err != nil {
		return "", err
	}
	if err := make(part); err != nil {
		os.RemoveAll(part)
		return "", err
	}
	s.say("made %s in %.0f s", filepath.Base(dir), time.Since(start).Seconds())
	return dir, os.Rename(part, dir)
}
