package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// printer writes for people: in colour on a terminal, plain elsewhere.
type printer struct {
	w      io.Writer
	colour bool
	class  string // of the last row
}

func newPrinter(f *os.File) *printer {
	return &printer{w: f, colour: term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""}
}

func (p *printer) paint(code, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }
func (p *printer) good(format string, args ...any) {
	p.line("%s", p.paint("32", fmt.Sprintf(format, args...)))
}
func (p *printer) bad(format string, args ...any) {
	p.line("%s", p.paint("1;31", fmt.Sprintf(format, args...)))
}

func (p *printer) title(title, about string) {
	p.line("\n%s\n%s", p.paint("1", title), p.paint("2", about))
}

// The three ways in which a row can end.
type mark struct{ word, colour string }

var (
	stopped = mark{"stopped", "32"}
	failed  = mark{"GOT THROUGH", "1;31"}
	warned  = mark{"granted", "33"}
)

const columns = "  %-10s %-42s %-14s %s  %s"

func (p *printer) header() {
	p.line("\n%s", p.paint("2", fmt.Sprintf(columns, "", "ATTEMPT", "WITHOUT NACRE", fmt.Sprintf("%-11s", "WITH NACRE"), "BY")))
}

func (p *printer) row(a attempt, without string, m mark, by string) {
	class := a.class
	if class == p.class {
		class = ""
	}
	p.class = a.class
	p.line(columns, class, a.title, without, p.paint(m.colour, fmt.Sprintf("%-11s", m.word)), clean(by))
}

// clean makes what an agent said fit for a terminal.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 160 {
		s = string(r[:160]) + "…"
	}
	return s
}
