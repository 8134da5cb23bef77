package machine

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
)

// Unpack puts the files of Debian packages of a suite into a folder, without
// installing them: for programs that are newer than this machine's.
func Unpack(ctx context.Context, suite, dir string, packages ...string) error {
	work, err := os.MkdirTemp("", "nacre-packages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	a, err := newApt(ctx, work, runtime.GOARCH, suite)
	if err != nil {
		return err
	}
	if _, err := a.run(ctx, "apt-get", append([]string{"download", "-q"}, packages...)...); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if _, err := output(ctx, "", "dpkg-deb", "-x", archive, dir); err != nil {
			return err
		}
	}
	return nil
}
