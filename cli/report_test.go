package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// TestUsedUp: what the machine has no more of is told by what to do about it, but
// not in place of who knows better.
func TestUsedUp(t *testing.T) {
	doctor := func(err error) error {
		return fault.Wrap(fault.Unsupported, err, "cannot start a sandbox").WithHint("nacre doctor says what this machine lacks")
	}
	for _, c := range []struct {
		err  error
		hint string
	}{
		{doctor(unix.EAGAIN), "ulimit -u and pids.max"},
		{doctor(unix.ENOMEM), "no more memory"},
		{doctor(unix.EPERM), "nacre doctor says"},
		{&os.PathError{Op: "open", Path: "/x", Err: unix.EMFILE}, "ulimit -n"},
		{&os.PathError{Op: "write", Path: "/x", Err: unix.EFBIG}, "ulimit -f"},
		{fault.Wrap(fault.Conflict, unix.EAGAIN, "another has it").WithHint("wait for it"), "wait for it"},
	} {
		file, err := os.Create(filepath.Join(t.TempDir(), "said"))
		if err != nil {
			t.Fatal(err)
		}
		app := &App{Err: file}
		code := app.report(c.err)
		said, err := os.ReadFile(file.Name())
		_, hint, _ := strings.Cut(string(said), "\nhint: ")
		if err != nil || !strings.Contains(hint, c.hint) || code == 0 {
			t.Errorf("%v: %d, %q, want %q", c.err, code, said, c.hint)
		}
	}
}
