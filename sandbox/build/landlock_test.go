package build

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
		if got := handled(abi); got != want {
			t.Errorf("ABI %d: %+v, want %+v", abi, got, want)
		}
	}
	if onFiles&^handled(7).Handled_access_fs != 0 || change&^handled(7).Handled_access_fs != 0 {
		t.Error("rules would allow what is not handled")
	}
}
