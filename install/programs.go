// Package install knows what was put on this machine for Nacre: its other
// programs, and the user ids that an administrator gave to the owner. What it
// finds opens nothing by itself: the owner names the programs by where this one
// lies, and newuidmap looks into the same files before it maps an id.
package install

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"nacre/fault"
)

// Init is the name of the program that becomes a sandbox's first process.
const Init = "nacre-init"

// Delivered tells whether a program is one that sandboxes are given, to read.
func Delivered(path string) bool {
	return slices.Contains([]string{"nacre-assistant", "nacre-bridge", "nacre-harness"}, filepath.Base(path))
}

// All are the places that Nacre's programs are looked for in, there or not: what
// lies there runs for the owner, so no sandbox may change it, or put it there.
func All(program string) []string {
	list := []string{program}
	for _, name := range []string{Init, "nacre-assistant", "nacre-attack", "nacre-bridge", "nacre-gateway", "nacre-harness", "nacre-image"} {
		list = append(list, places(program, name)...)
	}
	return list
}

func places(program, name string) []string {
	dir := filepath.Dir(program)
	return []string{filepath.Join(dir, name), filepath.Join(dir, "..", "libexec", "nacre", name)}
}

// Beside returns another program of Nacre's: beside this one, or in
// ../libexec/nacre. Errors: NotFound; Tampered where others own it or may write
// to it. Who may replace what is in its folder could replace this program too.
func Beside(program, name string) (string, error) {
	for _, candidate := range places(program, name) {
		if st, err := os.Stat(candidate); err == nil && st.Mode().IsRegular() {
			switch of, ok := st.Sys().(*syscall.Stat_t); {
			case !ok || of.Uid != 0 && int(of.Uid) != os.Geteuid():
				return "", fault.New(fault.Tampered, "%s belongs to somebody who is neither root nor you", candidate).
					WithHint("chown root %s, and see who put it there", candidate)
			case st.Mode().Perm()&0o022 != 0:
				return "", fault.New(fault.Tampered, "%s can be changed by others", candidate).
					WithHint("chmod go-w %s", candidate)
			}
			return candidate, nil
		}
	}
	return "", fault.New(fault.NotFound, "%s is missing beside %s", name, program).
		WithHint("reinstall Nacre: make install puts its programs in place")
}
