package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// callsFile is calls.txt as Go.
func callsFile(folder string) (string, error) {
	const name = "calls.txt"
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	source, err := callsSource(string(text))
	if err != nil {
		return "", fmt.Errorf("%s:%w", name, err)
	}
	return source, nil
}

// callsSource has a line for each family, and two more for each of its conditions: the
// one in calls.txt, and what it comes to.
func callsSource(text string) (string, error) {
	sections, err := read(text)
	if err != nil {
		return "", err
	}
	var entries, groups strings.Builder
	said := map[string][]program{} // of each call, by the sections so far
	for _, s := range sections {
		group := "base"
		if s.warning != "" {
			group = s.name
			fmt.Fprintf(&groups, "\t%q: %q,\n", s.name, s.warning)
		}
		for _, f := range s.families {
			p, err := compile(s, f, said)
			if err != nil {
				return "", fmt.Errorf("%d: %w", f.line, err)
			}
			fmt.Fprintf(&entries, "\t{%q, %#v, Call{%q, %q, %q, Filter{%s}}},\n", s.name, f.names, group, f.reason, p.limit, p.source())
			for _, name := range f.names {
				said[name] = append(said[name], p)
			}
		}
	}
	return header("calls.txt") + "import \"golang.org/x/sys/unix\"\n\n" +
		"// groups are the sections that a plan may add, and what each loosens.\nvar groups = map[string]string{\n" + groups.String() + "}\n\n" +
		"// entries are in the order of calls.txt.\nvar entries = []entry{\n" + entries.String() + "}\n", nil
}

// source is a program as Go.
func (p program) source() string {
	if len(p.parts) == 1 && len(p.parts[0].code) == 1 {
		return p.parts[0].code[0]
	}
	var b strings.Builder
	for _, part := range p.parts {
		fmt.Fprintf(&b, "\n\t\t// %s\n\t\t%s,", part.text, strings.Join(part.code, ", "))
	}
	return b.String() + "\n\t"
}
