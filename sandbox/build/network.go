package build

import (
	"fmt"

	"golang.org/x/sys/unix"

	"nacre/sandbox/blueprint"
)

// network opens sockets in the sandbox's namespace and passes them out.
func (b *builder) network() error {
	if len(b.spec.Sockets) == 0 {
		return nil
	}
	var fds []int
	for _, s := range b.spec.Sockets {
		fd, err := unix.Socket(s.Domain, s.Type|unix.SOCK_CLOEXEC, s.Protocol)
		if err != nil {
			return fmt.Errorf("%+v: %w", s, err)
		}
		fds = append(fds, fd)
	}
	err := blueprint.Send(blueprint.ControlFD, blueprint.Message{Kind: blueprint.Opened}, fds...)
	blueprint.CloseAll(fds)
	return err
}
