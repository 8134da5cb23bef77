package policy

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed blocked.txt
var table string

// builtIn are the names that are masked unless the owner's policy unblocks
// them, each by its name.
var builtIn = slices.DeleteFunc(strings.Split(table, "\n"), func(s string) bool { return s == "" || s[0] == '#' })

// BuiltIn lists the names that are masked unless unblocked.
func BuiltIn() []string { return slices.Clone(builtIn) }

// reserved are places of the host that can never be granted: themselves, and
// (true) all below.
var reserved = map[string]bool{"/": false, "/etc": false, "/proc": true, "/sys": true, "/dev": true, "/run": true,
	"/var/run": true, "/boot": true}
