package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errNoSource is what a machine lacks on which nothing is generated.
var errNoSource = errors.New("needs the go command and the source of golang.org/x/sys")

// numbersFile is the numbers of the calls as the pinned golang.org/x/sys has them.
func numbersFile(folder string) (string, error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys")
	list.Dir = folder
	dir, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoSource, err)
	}
	source := header("golang.org/x/sys/unix") + "// numbers are the names of the calls by their numbers. The last, which has none,\n" +
		"// stands for all that follow.\nvar numbers = map[Arch][]string{AMD64: amd64, ARM64: arm64}\n"
	for _, arch := range []string{"amd64", "arm64"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+arch+".go"))
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoSource, err)
		}
		table, err := names(arch, string(text))
		if err != nil {
			return "", fmt.Errorf("%s: %w", arch, err)
		}
		source += table
	}
	return source, nil
}

// names is an architecture's table.
func names(arch, text string) (string, error) {
	names := map[int]string{}
	for _, m := range regexp.MustCompile(`(?m)^\tSYS_(\w+)\s*= (\d+)$`).FindAllStringSubmatch(text, -1) {
		number, err := strconv.Atoi(m[2])
		if err != nil || names[number] != "" {
			return "", fmt.Errorf("%s: %v", m[0], err)
		}
		if m[1] == "ARCH_SPECIFIC_SYSCALL" { // the start of a reserved range, not a call
			continue
		}
		names[number] = strings.ToLower(m[1])
	}
	if len(names) < 300 {
		return "", fmt.Errorf("there are only %d calls", len(names))
	}
	source, last := "\nvar "+arch+" = []string{\n", 0
	for _, number := range slices.Sorted(maps.Keys(names)) {
		source += fmt.Sprintf("\t%d: %q,\n", number, names[number])
		last = number
	}
	return source + fmt.Sprintf("\t%d: \"\",\n}\n", last+1), nil
}
