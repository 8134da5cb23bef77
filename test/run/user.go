package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// user is somebody who runs the tests.
type user struct {
	name       string
	tree       string // the source tree as this user sees it
	env        []string
	credential *syscall.Credential // nil: the calling user
	converter  string              // test2json
}

// self is the calling user, with the environment as it is.
func self(dir string) user {
	name := "plain user"
	if os.Geteuid() == 0 {
		name = "root"
	}
	tree, _ := os.Getwd()
	// With the race detector a program waits a second before it exits, if it is not told otherwise.
	env := append([]string{"GORACE=atexit_sleep_ms=20"}, os.Environ()...)
	return user{name: name, tree: tree, env: append(env, programs(dir)...), converter: filepath.Join(dir, "test2json")}
}

// programs tells the tests where the built programs are, so that they need not
// build them again.
func programs(dir string) []string {
	bin := filepath.Join(dir, "bin")
	return []string{"NACRE_BIN=" + bin, "NACRE_FAULTY_BIN=" + filepath.Join(dir, "faulty"), "NACRE_INIT=" + filepath.Join(bin, "nacre-init"), "NACRE_ATTACK_PROGRAM=" + filepath.Join(bin, "nacre-attack")}
}

// nobody is Debian's and everybody's uid without rights.
const nobody = 65534

// plainUser is nobody, with a copy of the tree, a home, temporary folder, build
// cache and module cache that are its own: root's lie where it cannot look.
func plainUser(ctx context.Context, dir string) (user, error) {
	root, err := os.Getwd()
	if err != nil {
		return user{}, err
	}
	base := filepath.Join(dir, "plain")
	place := func(name string) string { return filepath.Join(base, name) }
	for _, name := range []string{"", "tree", "home", "tmp", "cache", "modules"} {
		if err := os.Mkdir(place(name), 0o755); err != nil {
			return user{}, err
		}
	}
	if err := os.CopyFS(place("tree"), without{os.DirFS(root)}); err != nil {
		return user{}, err
	}
	if err := copyModules(ctx, place("modules")); err != nil {
		return user{}, err
	}
	own := func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}
	if err := filepath.WalkDir(base, own); err != nil {
		return user{}, err
	}
	env := append(programs(dir), "HOME="+place("home"), "TMPDIR="+place("tmp"), "GOCACHE="+place("cache"),
		"GOMODCACHE="+place("modules"), "GOPROXY=off", "GOFLAGS=-mod=mod -buildvcs=false", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
		"PATH="+os.Getenv("PATH"), "LANG=C.UTF-8", "USER=nobody", "CI="+os.Getenv("CI"),
		"NACRE_AGENTS="+os.Getenv("NACRE_AGENTS"), "NACRE_CACHE="+os.Getenv("NACRE_CACHE"),
		"NACRE_KILLS="+os.Getenv("NACRE_KILLS"), "NACRE_SEED="+os.Getenv("NACRE_SEED"))
	return user{name: "plain user", tree: place("tree"), env: env, converter: filepath.Join(dir, "test2json"),
		credential: &syscall.Credential{Uid: nobody, Gid: nobody}}, nil
}

// copyModules puts the modules that the build needs where nobody can read
// them, out of the calling user's own cache.
func copyModules(ctx context.Context, to string) error {
	from, err := goCommand(ctx, nil, "env", "GOMODCACHE")
	if err != nil {
		return err
	}
	cache := "file://" + filepath.Join(strings.TrimSpace(from), "cache/download")
	env := []string{"GOMODCACHE=" + to, "GOPROXY=" + cache, "GOFLAGS=-modcacherw", "GONOSUMDB=*", "GONOSUMCHECK=1", "GOSUMDB=off"}
	for _, module := range []string{".", "cmd/nacre-assistant"} {
		for _, env := range [][]string{nil, env} {
			if _, err := goCommand(ctx, env, "mod", "download", "-C", module); err != nil {
				return err
			}
		}
	}
	return nil
}

// without is a tree without what is not source.
type without struct{ fs.FS }

// ReadDir leaves out version control, builds and caches.
func (w without) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return name == "." && slices.Contains([]string{".git", "bin", "dist", ".cache"}, e.Name())
	}), err
}
