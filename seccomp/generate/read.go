package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// section is a part of calls.txt.
type section struct {
	name     string
	answer   string
	warning  string // of a group: what it loosens
	families []family
}

// family is some calls that a section treats alike.
type family struct {
	line    int // in calls.txt
	names   []string
	reason  string
	details []string // the lines beneath it
}

var (
	heading = regexp.MustCompile(`^\[([a-z-]+)\] (\w+)(?: # (\S.*))?$`)
	calls   = regexp.MustCompile(`^(\w+(?: \w+)*) # (\S.*)$`)
	detail  = regexp.MustCompile(`^\t(\S.*)$`)
)

// read divides calls.txt into its parts. An error begins with the line's number.
func read(text string) (all []section, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		if all, err = add(all, line, n); err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
	}
	return all, nil
}

// add takes one line, which is about the last of what there is.
func add(all []section, line string, n int) ([]section, error) {
	if m := heading.FindStringSubmatch(line); m != nil {
		if slices.ContainsFunc(all, func(s section) bool { return s.name == m[1] }) {
			return nil, errors.New("there are two sections of this name")
		}
		return append(all, section{m[1], m[2], m[3], nil}), nil
	}
	if len(all) == 0 {
		return nil, errors.New("this is in no section")
	}
	s := &all[len(all)-1]
	if m := detail.FindStringSubmatch(line); m != nil {
		if len(s.families) == 0 {
			return nil, errors.New("this is about no family of calls")
		}
		f := &s.families[len(s.families)-1]
		f.details = append(f.details, m[1])
		return all, nil
	}
	m := calls.FindStringSubmatch(line)
	if m == nil {
		return nil, errors.New("this is no section, no detail, and no family of calls with a reason")
	}
	f := family{n, strings.Fields(m[1]), m[2], nil}
	for i, name := range f.names {
		if s.names(name) || slices.Contains(f.names[:i], name) {
			return nil, fmt.Errorf("the section names %s twice", name)
		}
	}
	s.families = append(s.families, f)
	return all, nil
}

// names tells whether a section names a call.
func (s section) names(call string) bool {
	return slices.ContainsFunc(s.families, func(f family) bool { return slices.Contains(f.names, call) })
}
