package cli

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/denials"
	"nacre/terminal"
)

// maxDenied is how many lines of denied calls a run ends with.
const maxDenied = 12

// tellDenied says which system calls the run was denied, how often, and the
// line that would allow each.
func (s *session) tellDenied() {
	list, silent := deniedIn(s.box)
	for _, d := range list {
		s.events.denied(d)
	}
	if s.quiet {
		return
	}
	if silent != "" {
		s.app.note("system calls are denied as always, but which ones cannot be told: %s", silent)
	}
	for _, d := range list[:min(len(list), maxDenied)] {
		fmt.Fprintln(s.app.Err, "denied:", terminal.Clean(deniedLine(d)))
	}
	if more := len(list) - maxDenied; more > 0 {
		s.app.note("%d more system calls were denied; nacre audit lists them", more)
	}
}

// deniedIn is what a sandbox was denied; silent says why it cannot be told.
func deniedIn(box nacre.Sandbox) (list []denials.Denial, silent string) {
	if b, ok := box.(interface {
		Denials() ([]denials.Denial, string)
	}); ok {
		list, silent = b.Denials()
		if silent == unix.EBUSY.Error() {
			silent = "something around nacre has the one listener that the kernel allows"
		}
		return list, silent
	}
	return nil, "the engine does not report them"
}

func deniedLine(d denials.Denial) string {
	by := strings.Join(d.Programs, ", ")
	if d.More {
		by += " and others"
	}
	remedy := "nothing allows it"
	if d.Remedy != "" {
		remedy = d.Remedy + " in manifest and policy would allow it"
	}
	return fmt.Sprintf("%s, %s by %s: %s", d.Subject, times(d.Count), by, remedy)
}

// times is a number of attempts in words.
func times[N int | uint64](n N) string {
	if n > 1 {
		return fmt.Sprintf("%d times", n)
	}
	return "once"
}
