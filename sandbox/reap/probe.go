package reap

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// files tries what only Landlock refuses.
func files() blueprint.Fact {
	fact := blueprint.Fact{Layer: "landlock", Item: "files", Expected: "refused", Found: "refused"}
	fd, err := unix.Open(blueprint.LandlockProbe, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		unix.Close(fd)
		fact.Found = "readable"
	case !errors.Is(err, unix.EACCES):
		fact.Found = err.Error()
	}
	return fact
}

// own are what init's descriptors lead to: the null device, its socket, and
// what the Go runtime waits with. A filter's listener is none of them.
var own = []string{"/dev/null", "socket:", "anon_inode:[event", "anon_inode:[pidfd]"}

// descriptors lists what else was left open. It has to be asked here: from
// outside only root may look, and from the moment that init is not dumpable
// not even itself.
func descriptors() blueprint.Fact {
	fact := blueprint.Fact{Layer: "descriptors", Item: "open in init", Expected: "only its own", Found: "only its own"}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		fact.Found = err.Error()
		return fact
	}
	var strange []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(target, "/proc/") &&
			!slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(target, o) }) {
			strange = append(strange, e.Name()+" is "+target)
		}
	}
	if len(strange) > 0 {
		fact.Found = strings.Join(strange, ", ")
	}
	return fact
}
