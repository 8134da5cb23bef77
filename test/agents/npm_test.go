package agents

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// room is what has to be free on the disk before something is installed.
const room = 2 << 30

// install puts a package of npm's, of exactly this version, into the cache and
// returns its folder. Nothing that came with it is run on this side.
func install(t *testing.T, name, what string) string {
	t.Helper()
	cache := os.Getenv("NACRE_CACHE")
	if cache == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("needs a cache folder: %v", err)
		}
		cache = filepath.Join(home, "nacre")
	}
	_, version, _ := strings.Cut(what[1:], "@")
	folder := filepath.Join(cache, "npm", name+"-"+version)
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		return real
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Skipf("needs %s in %s: %v", what, folder, err)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(folder), &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < room {
		t.Skipf("needs 2 GiB of disk for %s in %s: %v", what, folder, err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(folder), "new-")
	if err != nil {
		t.Skipf("needs %s in %s: %v", what, folder, err)
	}
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "install", "--prefix", fresh, "--ignore-scripts", "--no-audit", "--no-fund", what)
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		t.Skipf("needs %s from npm: %v %s", what, err, out)
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, folder); err != nil {
		t.Fatal(err)
	}
	return folder
}
