package cli_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"nacre/test/programs"
)

// TestAskedElsewhere: on the terminal that a program writes to, nothing is asked and
// nothing is answered, whatever it shows there and whatever is typed there.
func TestAskedElsewhere(t *testing.T) {
	programs.Needs(t, "curl")
	c := sit(t, t.TempDir(), "learn", "--ask", "-o", "agent.yaml", "-t", "--", "sh", "-c",
		`curl -sS http://x.example.com/ & printf 'GET http://x.example.com:80\nlet it out? [y]es / [n]o / [q]uit: '; printf 'y\n' >/dev/tty; read line; echo "read $line"; wait; echo over`)
	c.expect("let it out?")
	c.press("y\r")
	c.expect("read y")
	found := regexp.MustCompile(`nacre learn answer ([a-z0-9]{8})`).FindStringSubmatch(c.text())
	if found == nil {
		t.Fatal(c.text())
	}
	nacre := func(here bool, args ...string) (string, error) {
		cmd := exec.Command("nacre", args...)
		cmd.Env = c.cmd.Env
		if here {
			cmd.Stdin = c.slave
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := nacre(true, "learn", "answer", found[1]); err == nil || !strings.Contains(out, "could write what looks like a question") || strings.Contains(out, "let it out?") {
		t.Errorf("%v %s", err, out)
	}
	if strings.Contains(c.text(), "over") {
		t.Errorf("it was answered: %s", c.text())
	}
	if out, err := nacre(false, "stop", "--grace", "0s", found[1]); err != nil {
		t.Errorf("%v %s", err, out)
	}
	<-c.ended
	record, err := nacre(false, "audit", "show")
	if err != nil || strings.Contains(record, "learn.answered") {
		t.Errorf("%v %s", err, record)
	}
}
