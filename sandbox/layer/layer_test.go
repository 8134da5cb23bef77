package layer

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestHandled: each ABI adds what landlock(7) says, and takes nothing away.
func TestHandled(t *testing.T) {
	const first = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	for abi, want := range []unix.LandlockRulesetAttr{
		{},
		{Handled_access_fs: first},
		{Handled_access_fs: first | unix.LANDLOCK_ACCESS_FS_REFER},
		{Handled_access_fs: first | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE},
		{Handled_access_fs: first | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE, Handled_access_net: 3},
		{Handled_access_fs: first | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, Handled_access_net: 3},
		{Handled_access_fs: 1<<16 - 1, Handled_access_net: 3, Scoped: 3},
		{Handled_access_fs: 1<<16 - 1, Handled_access_net: 3, Scoped: 3},
	} {
		if got := Handled(abi); got != want {
			t.Errorf("ABI %d: %+v, want %+v", abi, got, want)
		}
	}
	if onFiles&^Handled(7).Handled_access_fs != 0 {
		t.Error("a rule would allow what is not handled")
	}
}

// TestRuleset: the kernel takes a ruleset of all that its ABI has, and one that
// Handled makes for an older one; rules for a folder and for a file, of which it
// takes less; and closes it when a program is executed.
func TestRuleset(t *testing.T) {
	abi, err := LandlockABI()
	if err != nil {
		t.Skipf("needs Landlock: %v", err)
	}
	for ; abi > 0; abi-- {
		attr := Handled(abi)
		ruleset, err := Ruleset(attr)
		if err != nil {
			t.Fatalf("ABI %d: %v", abi, err)
		}
		if flags, err := unix.FcntlInt(uintptr(ruleset), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("ABI %d: stays open: %v", abi, err)
		}
		for _, name := range []string{"/", "/proc/self/exe"} {
			fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err == nil {
				err = Allow(ruleset, fd, attr.Handled_access_fs)
			}
			if err != nil {
				t.Errorf("ABI %d: %s: %v", abi, name, err)
			}
			unix.Close(fd)
		}
		if err := Allow(ruleset, -1, attr.Handled_access_fs); err == nil {
			t.Error("nothing was allowed")
		}
		unix.Close(ruleset)
	}
}

// TestFilterIsWhole: what is no list of instructions is not loaded.
func TestFilterIsWhole(t *testing.T) {
	for _, code := range [][]byte{nil, {}, make([]byte, 7), make([]byte, 12)} {
		if _, err := Filter(code, 0); err == nil {
			t.Errorf("%d bytes were loaded", len(code))
		}
	}
}
