package build

import (
	"errors"
	"os"
	"strconv"
	"strings"
)

// bounds forbids further user namespaces, and leaves the owner most of the inotify
// instances and watches: they are counted for whoever made the user namespace too,
// so that a sandbox without a bound of its own could use up those of the owner's
// session, or of root's services. It needs the capabilities that are about to be
// dropped.
func (b *builder) bounds() error {
	if !b.spec.Nested {
		if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
			return err
		}
	}
	for _, kind := range []string{"instances", "watches"} {
		text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_" + kind)
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without inotify
		}
		n, atoi := strconv.Atoi(strings.TrimSpace(string(text)))
		if err := errors.Join(err, atoi); err != nil {
			return err
		}
		if err := os.WriteFile("/proc/sys/user/max_inotify_"+kind, []byte(strconv.Itoa(n/4)), 0); err != nil {
			return err
		}
	}
	return nil
}
