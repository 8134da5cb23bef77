package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherNameOfHome: a folder that is the owner's home by another name, which a bind
// mount gave it, holds the policy as that does.
func TestOtherNameOfHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	home, other := t.TempDir(), t.TempDir()
	script := `mount --make-rprivate / && mount --bind "$HOME" "$1" && cd / && mkdir -p "$HOME/.config/nacre" && echo 'version: 1' >"$HOME/.config/nacre/policy.yaml" &&
		sandbox --files "$1:write" -- sh -c 'cd /work/*; mkdir -p c/nacre; echo more >c/nacre/policy.yaml; mv .config d; mv c .config'; cat "$HOME/.config/nacre/policy.yaml"`
	c := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", other)
	c.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "holds the policy "+filepath.Join(other, ".config/nacre/policy.yaml")) || !strings.HasSuffix(string(out), "\nversion: 1\n") {
		t.Errorf("%v:\n%s", err, out)
	}
}
