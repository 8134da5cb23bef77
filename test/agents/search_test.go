package agents

import (
	"crypto/rand"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestSearch: what looks for keys finds one in a program that has it, in its
// environment and in its memory, and none that is not there.
func TestSearch(t *testing.T) {
	key := rand.Text()
	cmd := exec.Command("sh", "-c", "read -r line; echo \"$line\"; read -r end")
	cmd.Env = []string{"KEY=" + key}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	typed := rand.Text()
	if _, err := io.WriteString(in, typed+"\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len(typed))); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		key string
		has bool
	}{"of its environment": {key, true}, "read": {typed, true}, "of nobody": {strings.ToLower(rand.Text()), false}} {
		has, err := memoryHas("/proc/"+strconv.Itoa(cmd.Process.Pid), c.key)
		if err != nil {
			t.Skipf("needs the memory of another process: %v", err)
		}
		if has != c.has {
			t.Errorf("a key %s: found %t", what, has)
		}
	}
}
