package watch

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"nacre/fault"
)

// unconnected fails where the agent is connected to a socket that has one of these names
// and is not its own: no mask ends a connection. What is made for a connection belongs to
// the network namespace of who connects, and has the address at which was listened, as
// who listens said it: outside that is another path than inside.
func (w *Watcher) unconnected(t *Tree, names []string) error {
	if !w.begun {
		return nil
	}
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", w.box.PID))
	if err != nil {
		return fault.Wrap(fault.Denied, err, "%q appeared in %s, and it cannot be seen whether somebody is connected to it", names[0], t.Scanner.Pin.Path)
	}
	for line := range strings.Lines(string(list)) {
		const state, address = 5, 7 // 02: waits to be accepted, 03: is
		f := strings.SplitN(strings.Join(strings.Fields(line), " "), " ", address+1)
		if len(f) <= address || f[state] != "02" && f[state] != "03" {
			continue
		}
		if slices.ContainsFunc(names, func(n string) bool {
			own := path.Join(t.Inside, n)
			return path.Base(n) == path.Base(f[address]) && (f[address] != own || own == path.Join(t.Scanner.Pin.Path, n))
		}) {
			return fault.New(fault.Denied, "%q appeared in %s, and the agent is connected to it", path.Base(f[address]), t.Scanner.Pin.Path)
		}
	}
	return nil
}
