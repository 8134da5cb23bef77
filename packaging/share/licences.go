package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// module is one that is linked into a program, or Go itself.
type module struct{ name, dir string }

// linked lists the modules of the programs, for every architecture alike.
func linked() ([]module, error) {
	var lines []string
	for _, where := range [][]string{{"-deps", "./cmd/..."}, {"-C", "cmd/nacre-assistant", "-deps", "."}} { // a module of its own
		const format = `{{with .Module}}{{if not (or .Main .Replace)}}{{.Path}} {{.Version}}	{{.Dir}}{{end}}{{end}}`
		list := exec.Command("go", slices.Concat([]string{"list"}, where[:len(where)-1], []string{"-f", format}, where[len(where)-1:])...)
		list.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			return nil, err
		}
		lines = append(lines, strings.Split(strings.TrimSpace(string(out)), "\n")...)
	}
	slices.Sort(lines)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	modules := []module{{"the Go standard library", strings.TrimSpace(string(goroot))}}
	for _, line := range slices.Compact(lines) {
		if name, dir, ok := strings.Cut(line, "\t"); ok {
			modules = append(modules, module{name, dir})
		}
	}
	return modules, nil
}

var licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([.-].*)?$`)

// texts are what a module says about its licence. One without is not shipped.
func (m module) texts() (string, error) {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return "", err
	}
	var all []string
	for _, e := range entries {
		if licence.MatchString(e.Name()) && e.Type().IsRegular() {
			text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
			if err != nil {
				return "", err
			}
			all = append(all, strings.TrimSpace(string(text)))
		}
	}
	if len(all) == 0 {
		return "", fmt.Errorf("%s has no licence", m.name)
	}
	return strings.Join(all, "\n\n"), nil
}

// licences writes Nacre's own licence, and what the modules in it ask to be
// passed on: each text once, with all that it holds for.
func (o output) licences(*cobra.Command) error {
	modules, err := linked()
	if err != nil {
		return err
	}
	own, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	holds := map[string][]string{}
	for _, m := range modules {
		text, err := m.texts()
		if err != nil {
			return err
		}
		holds[text] = append(holds[text], m.name)
	}
	texts := make([]string, 0, len(holds))
	for text := range holds {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Compare(holds[a][0], holds[b][0]) })
	return o.file("doc/nacre/copyright", func(w io.Writer) error {
		fmt.Fprintf(w, "Nacre\nCopyright The Nacre authors\n\nUnder the Apache License, Version 2.0 (on Debian also in\n"+
			"/usr/share/common-licenses/Apache-2.0):\n\n%s\n", strings.TrimSpace(string(own)))
		for _, text := range texts {
			fmt.Fprintf(w, "\n%s\nLinked into Nacre's programs:\n  %s\n\n%s\n", strings.Repeat("-", 72), strings.Join(holds[text], "\n  "), text)
		}
		return nil
	})
}
