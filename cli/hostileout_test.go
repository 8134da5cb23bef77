package cli_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestPipesToATerminal: a program that has pipes, because its input is no terminal,
// still writes to the owner's, which must obey it no more than otherwise.
func TestPipesToATerminal(t *testing.T) {
	dir := folder(t)
	const hostile = `printf '\033]52;c;aGk=\007\033[c\033P+q544e\033\\\033[21t\033_x\033\\'`
	for name, script := range map[string]string{
		"output": `sandbox -- sh -c "$HOSTILE; echo shown" </dev/null; echo over`,
		"errors": `sandbox -- sh -c "($HOSTILE; echo shown) >&2" </dev/null; echo over`,
		"never":  `sandbox --tty=never -- sh -c "$HOSTILE; echo shown" </dev/null; echo over`,
		"exec": `sandbox --name other -- sleep 60 </dev/null >/dev/null 2>&1 & until nacre exec other -- true </dev/null >/dev/null 2>&1; do sleep 0.1; done
			nacre exec other -- sh -c "$HOSTILE; echo shown; ($HOSTILE; echo told) >&2" </dev/null; nacre stop other >/dev/null 2>&1; wait; echo over`,
		"learn": `nacre learn $ACCEPT -- sh -c "$HOSTILE; echo shown" </dev/null; echo over`,
	} {
		t.Run(name, func(t *testing.T) {
			c := sit(t, dir, "env", "HOSTILE="+hostile, "ACCEPT="+strings.Join(accepts(), " "), "sh", "-c", script)
			c.expect("shown")
			c.expect("over")
			c.end()
			for _, sequence := range []string{"\x1b]52", "\x1b[c", "\x1bP", "\x1b[21t", "\x1b_"} {
				if strings.Contains(c.text(), sequence) {
					t.Errorf("the terminal was told %q", sequence)
				}
			}
		})
	}
}

// TestNeverLeftAlone: neither a shell's Ctrl-Z nor being in the background when it
// would read stops the process without which the agent has no time limit, no masks and
// no record.
func TestNeverLeftAlone(t *testing.T) {
	const agent = `--timeout 1s --files .:write@/work -- sh -c 'for i in $(seq 300); do echo x >>/work/beat; sleep 0.1; done'`
	for name, script := range map[string]string{
		"background": `sandbox ` + agent + ` & wait`,
		"terminal":   `sandbox --tty=always ` + agent + ` </dev/tty & wait; sandbox --tty=never ` + agent + ` & wait`,
		"Ctrl-Z": `(until test -s beat; do sleep 0.1; done; kill -TSTP -- -$(cat group)) &
			sh -c 'echo $$ >group; exec "$@"' sh sandbox --tty=never ` + agent + ` </dev/null`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			c := sit(t, dir, "sh", "-mc", script+"; while :; do sleep 1; done") // -m: each job is a group of its own, as at a prompt
			began, last := time.Now(), int64(0)
			for quiet := 0; quiet < 20; time.Sleep(50 * time.Millisecond) { // a second without a beat
				st, err := os.Stat(dir + "/beat")
				if quiet++; err != nil || st.Size() != last {
					quiet = 0
				}
				if err == nil {
					last = st.Size()
				}
				if time.Since(began) > patience {
					t.Fatalf("the agent goes on: %d beats\n%s", last/2, c.text())
				}
			}
			if beats := last / 2; beats < 1 || beats > 150 {
				t.Errorf("%d beats", beats)
			}
		})
	}
}
