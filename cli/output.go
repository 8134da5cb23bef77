package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"nacre"
	"nacre/fault"
	"nacre/terminal"
)

func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// interactive tells whether somebody is there to be asked.
func (app *App) interactive() bool { return isTerminal(app.In) && isTerminal(app.Err) }

// windowOf is the size of a terminal; the usual one where it does not say.
func windowOf(f *os.File) nacre.Window {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 || size.Col == 0 {
		return nacre.Window{Rows: 24, Columns: 80}
	}
	return nacre.Window{Rows: size.Row, Columns: size.Col}
}

// useTTY reads --tty: does the program get a terminal of its own?
func (app *App) useTTY(word string) (bool, error) {
	both := isTerminal(app.In) && isTerminal(app.Out) && terminal.Foreground(app.In)
	switch word {
	case "auto":
		return both, nil
	case "never":
		return false, nil
	case "always":
		if !both {
			return false, fault.New(fault.Usage, "--tty=always: the input and the output are not a terminal, or it is another program's now").
				WithHint("leave --tty out: the program then gets pipes")
		}
		return true, nil
	}
	return false, fault.New(fault.Usage, "--tty: expected auto, always or never, found %q", word)
}

// warn prints what a plan loosens, one line each.
func (app *App) warn(list []nacre.Warning) {
	for _, w := range list {
		fmt.Fprintf(app.Err, "warning: %s: %s\n", w.Name, terminal.Clean(w.Detail))
	}
}

func (app *App) note(format string, args ...any) {
	fmt.Fprintln(app.Err, "nacre:", terminal.Clean(fmt.Sprintf(format, args...)))
}

// counted is a number of things, each of them called one.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// shortTime is a time without the parts that are nothing: 1h, not 1h0m0s.
func shortTime(d time.Duration) string {
	s := d.String()
	for _, nothing := range []struct{ unit, part string }{{"m", "0s"}, {"h", "0m"}} {
		if strings.HasSuffix(s, nothing.unit+nothing.part) {
			s = strings.TrimSuffix(s, nothing.part)
		}
	}
	return s
}

// whyEnded says in words why a run ended where that was not its own doing.
func whyEnded(e nacre.Exit, l nacre.Limits) string {
	switch e.Reason {
	case "timeout":
		return fmt.Sprintf("ended: its time of %s is over (timeout)", shortTime(l.Time))
	case "output-limit":
		return fmt.Sprintf("ended: it wrote more than %s (output-limit)", formatSize(l.Output))
	case "memory-limit":
		return fmt.Sprintf("ended: it needed more than %s of memory (memory-limit)", formatSize(l.Memory))
	case "blocked-name-appeared":
		return "ended: a name that is to be masked appeared in a granted folder, and what is in it may have been read (blocked-name-appeared)"
	case "folders-unwatched":
		return "ended: new folders can no longer be watched for blocked names (folders-unwatched)"
	case "stopped":
		return "ended: it was stopped"
	case "exited", "signalled", "":
		return ""
	}
	return "ended: " + e.Reason
}

// starved says that processes were killed for want of memory in a run that went on.
func starved(kills int64, l nacre.Limits) string {
	what := "1 process was"
	if kills != 1 {
		what = fmt.Sprintf("%d processes were", kills)
	}
	return fmt.Sprintf("%s killed for want of memory: the limit for all together is %s", what, formatSize(l.Memory))
}

var _ io.Writer = (*runLog)(nil)

// bareTTY refuses "--tty never", which would run a program never on a terminal: the
// flag's word follows an equals sign.
func bareTTY(cmd *cobra.Command, command []string) error {
	if !cmd.Flags().Changed("tty") || cmd.ArgsLenAtDash() == 0 || len(command) == 0 || !slices.Contains([]string{"auto", "always", "never"}, command[0]) {
		return nil
	}
	return fault.New(fault.Usage, "--tty %s: a word for --tty follows an equals sign", command[0]).
		WithHint("--tty=%s; a program of that name comes after --", command[0])
}
