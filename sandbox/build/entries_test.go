package build

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// TestUnknownForm: an entry that says nothing, or something unknown, is refused.
func TestUnknownForm(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("/") // as collect does
	for _, form := range []blueprint.Form{"", "TREE", "socket"} {
		b := builder{mounts: []int{-1}}
		if err := b.put(0, blueprint.Entry{Form: form, Path: filepath.Join(dir, "x"), Dir: true}); err == nil {
			t.Errorf("%q was made", form)
		}
	}
}

// TestAttributes: what an entry does not say, its mount does not honour.
func TestAttributes(t *testing.T) {
	const least = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_RDONLY
	for _, c := range []struct {
		entry blueprint.Entry
		want  int
	}{
		{blueprint.Entry{}, least},
		{blueprint.Entry{NoExec: true}, least | unix.MOUNT_ATTR_NOEXEC},
		{blueprint.Entry{Write: true}, least &^ unix.MOUNT_ATTR_RDONLY},
		{blueprint.Entry{Device: true}, least &^ unix.MOUNT_ATTR_NODEV},
	} {
		if got := attr(c.entry); got != c.want {
			t.Errorf("%+v: %#x, want %#x", c.entry, got, c.want)
		}
	}
	if rights(blueprint.Entry{})&(change&^use) != 0 {
		t.Error("what an entry does not say, Landlock permits")
	}
}
