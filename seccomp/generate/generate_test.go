package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated keeps the files equal to what they are made from.
func TestGenerated(t *testing.T) {
	for name := range files {
		t.Run(name, func(t *testing.T) {
			want, err := generated("..", name)
			if errors.Is(err, errNoSource) {
				t.Skip(err)
			}
			have, readErr := os.ReadFile(filepath.Join("..", name))
			if err != nil || readErr != nil {
				t.Fatal(err, readErr)
			}
			if !bytes.Equal(have, want) {
				t.Errorf("%s is not what it is made from: run go generate ./seccomp", name)
			}
		})
	}
}

// TestEveryLineIsRead: no line of calls.txt is passed over. Without any one of those
// that are no comment, something else comes of it, or nothing.
func TestEveryLineIsRead(t *testing.T) {
	text, err := os.ReadFile("../calls.txt")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := callsSource(string(text))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if line == "" || line == "\n" || line[0] == '#' {
			continue
		}
		less, err := callsSource(strings.Join(lines[:i], "") + strings.Join(lines[i+1:], ""))
		if err == nil && less == whole {
			t.Errorf("line %d says nothing: %s", i+1, line)
		}
	}
}

// TestCalls: what comes of small tables.
func TestCalls(t *testing.T) {
	const head = "# comment\n\n[permitted] permit\nread write # input\nopen # opens\n\tnot for writing\n\tEPERM if 1 has O_RDWR=2\n"
	for _, c := range []struct{ name, text, want string }{
		{"a family", head, `{"permitted", []string{"read", "write"}, Call{"base", "input", "", Filter{{Code: answer, K: permit}}}},`},
		{"a section of refusals", head + "[a] quiet\nkill # ends\n", `{"a", []string{"kill"}, Call{"base", "ends", "", Filter{{Code: answer, K: refuse | uint32(unix.EPERM)}}}},`},
		{"what is absent", head + "[a] ENOSYS\nkill # ends\n", `K: refuse | uint32(unix.ENOSYS)`},
		{"a group", head + "[a] permit # loosens\nkill # ends\n", `{"a", []string{"kill"}, Call{"a", "ends", "", Filter{{Code: answer, K: permit}}}},`},
		{"its warning", head + "[a] permit # loosens\nkill # ends\n", `"a": "loosens",`},
		{"any of some bits", head, `
		// EPERM if 1 has O_RDWR=2
		{Code: load, K: 16 + 8*1}, {Code: has, Jf: 1, K: 2}, {Code: answer, K: report | uint32(unix.EPERM)},
		// the section: permit
		{Code: answer, K: permit},
`},
		{"all of some tests", head + "kill # ends\n\tonly\n\tpermit if 0 is A=1 B=2 and 5.high/M=0xf is C=3\n\telse EINVAL\n", `
		// permit if 0 is A=1 B=2 and 5.high/M=0xf is C=3
		{Code: load, K: 16 + 8*0}, {Code: equal, Jt: 1, K: 1}, {Code: equal, Jf: 4, K: 2}, {Code: load, K: 16 + 8*5 + 4}, {Code: mask, K: 0xf}, {Code: equal, Jf: 1, K: 3}, {Code: answer, K: permit},
		// else EINVAL
		{Code: answer, K: report | uint32(unix.EINVAL)},
`},
		{"as before", head + "[a] permit # loosens\nopen # opens more\n\tnot much\n\tpermit if 0 is A=1\n\telse as before\n", `
		// permit if 0 is A=1
		{Code: load, K: 16 + 8*0}, {Code: equal, Jf: 1, K: 1}, {Code: answer, K: permit},
		// EPERM if 1 has O_RDWR=2
		{Code: load, K: 16 + 8*1}, {Code: has, Jf: 1, K: 2}, {Code: answer, K: report | uint32(unix.EPERM)},
		// the section: permit
		{Code: answer, K: permit},
`},
	} {
		if got, err := callsSource(c.text); err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v\n%s\nis without\n%s", c.name, err, got, c.want)
		}
	}
}

// TestCallsRefused: what is not understood is not passed over, and what would be
// left to chance is said.
func TestCallsRefused(t *testing.T) {
	const head = "[permitted] permit\nread write # input\nclone # forks\n"
	detail := func(lines ...string) string { return "\t" + strings.Join(lines, "\n\t") + "\n" }
	for _, c := range []struct{ text, want string }{
		{"read # input\n", "1: this is in no section"},
		{"[permitted] permit\n\tonly\n", "2: this is about no family"},
		{head + "[permitted] EPERM\n", "4: there are two sections"},
		{head + "[Permitted] EPERM\n", "4: this is no section"},
		{head + "[other]\nkill # ends\n", "4: this is no section"},
		{head + "[other] allow\nkill # ends\n", `5: no answer is called "allow"`},
		{head + "[other] eperm\nkill # ends\n", `5: no answer is called "eperm"`},
		{head + "kill\n", "4: this is no section, no detail, and no family of calls with a reason"},
		{head + "kill #\n", "4: this is no section"},
		{head + "kill# ends\n", "4: this is no section"},
		{head + "kill, tkill # ends\n", "4: this is no section"},
		{head + " kill # ends\n", "4: this is no section"},
		{head + "kill # ends\n only\n", "5: this is no section"},
		{head + "kill kill # ends\n", "4: the section names kill twice"},
		{head + "kill read # ends\n", "4: the section names read twice"},
		{head + detail("only", "EPERM if 6 is A=1"), `3: "EPERM if 6 is A=1": "6 is A=1" is no test`},
		{head + detail("only", "EPERM if 0 was A=1"), "is no test"},
		{head + detail("only", "EPERM if 0 is 1"), "is no test"},
		{head + detail("only", "EPERM if 0 is A="), "is no test"},
		{head + detail("only", "EPERM if 0 is"), "is no test"},
		{head + detail("only", "EPERM if 0.low is A=1"), "is no test"},
		{head + detail("only", "EPERM if 0/M is A=1"), "is no test"},
		{head + detail("only", "EPERM if 0 is A=1 and"), "is no test"},
		{head + detail("only", "EPERM if 0 is A=1 or 1 is B=1"), "is no test"},
		{head + detail("only", "EPERM if "), "is no test"},
		{head + detail("only", "EPERM if 0 is A=0x100000000"), "out of range"},
		{head + detail("only", "EPERM if 0 is A=one"), "invalid syntax"},
		{head + detail("only", "EPERM if 0/M=x is A=1"), "invalid syntax"},
		{head + detail("only", "EPERM if 0 has A=1 B=2"), "one set of bits"},
		{head + detail("only", "EPERM if 0/M=3 has A=1"), "one set of bits"},
		{head + detail("only", "EPERM if 0 is"+strings.Repeat(" A=1", 254)), "too long"},
		{head + detail("only", "deny if 0 is A=1"), `no answer is called "deny"`},
		{head + detail("only", "else deny"), `no answer is called "deny"`},
		{head + detail("only", "else EPERM", "EINVAL if 0 is A=1"), "after else nothing counts"},
		{head + detail("EPERM if 0 is A=1", "only"), "the words for it come first"},
		{head + detail("only", "some"), "the words for it come first"},
		{head + detail("only"), "not both"},
		{head + detail("EPERM if 0 is A=1"), "not both"},
		{head + detail("only", "permit if 0 is A=1", "else as before"), "before, 0 sections name clone"},
		{head + "[a] EPERM\nclone # forks\n[b] permit # loosens\nclone # forks\n" + detail("only", "permit if 0 is A=1", "else as before"), "before, 2 sections name clone"},
		{head + "[b] permit # loosens\nclone kill # forks\n" + detail("only", "permit if 0 is A=1", "else as before"), "before, 0 sections name kill"},
		{head + "kill # ends\n" + detail("only", "EPERM if 0 is A=1") + "[b] permit # loosens\nclone kill # forks\n" + detail("only", "permit if 0 is A=2", "else as before"), "before, they differ"},
	} {
		if got, err := callsSource(c.text); err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("%s\n%v, not %s", c.text, err, c.want)
		}
	}
}

// TestNames: what could not be a table of numbers is none.
func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"\tSYS_READ = 0\n":                    "only 1 calls",
		"\tSYS_READ = 0\n\tSYS_OTHER = 0\n":   "SYS_OTHER",
		"\tSYS_READ = 99999999999999999999\n": "out of range",
	} {
		if _, err := names("amd64", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %s", text, err, want)
		}
	}
}
