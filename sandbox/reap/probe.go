package reap

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// ask finds out what nobody can look at from outside. What cannot be found out
// reads as what it is: a difference.
func ask() map[string]string {
	reached := connecting() // first: where there is no such socket, its number is the Go runtime's to take
	bits, _ := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0)
	spaces, _ := os.ReadFile("/proc/sys/user/max_user_namespaces")
	name, _ := os.Hostname()
	return map[string]string{
		"reading":             refused(opening(unix.O_RDONLY)),
		"writing":             refused(opening(unix.O_WRONLY)),
		"connecting":          refused(reached),
		"open in init":        descriptors(),
		"of init":             fmt.Sprint(os.Environ()),
		"securebits":          fmt.Sprint(bits),
		"max_user_namespaces": strings.TrimSpace(string(spaces)),
		"hostname":            name,
	}
}

// refused tells whether Landlock refused something: its own errors are these,
// for paths and for scopes (landlock(7)).
func refused(err error) string {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return "refused"
	}
	return fmt.Sprint("not refused: ", err)
}

// opening tries what only Landlock refuses.
func opening(how int) error {
	fd, err := unix.Open(blueprint.LandlockProbe, how|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	unix.Close(fd)
	return err
}

// connecting tries to reach the socket that the first half left here, and
// closes it.
func connecting() error {
	defer unix.Close(blueprint.SpecFD)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: blueprint.LandlockSocket})
}

// descriptors lists what was left open beside the null device, init's socket
// and what the Go runtime waits with. It has to be asked here: from outside
// only root may look, and from the moment that init is not dumpable not even
// itself.
func descriptors() string {
	entries, err := os.ReadDir("/proc/self/fd")
	var strange []string
	for i, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		switch {
		case err != nil: // what it was listed with
		case i < blueprint.ControlFD && target == os.DevNull:
		case i == blueprint.ControlFD && strings.HasPrefix(target, "socket:"):
		case target == "anon_inode:[eventpoll]", target == "anon_inode:[eventfd]":
		default:
			strange = append(strange, e.Name()+" is "+target)
		}
	}
	if err == nil && len(strange) == 0 {
		return "only its own"
	}
	return fmt.Sprint(strings.Join(strange, ", "), err)
}
