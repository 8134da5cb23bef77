package gitconfig

import "strings"

// Variable is one line of a configuration.
type Variable struct {
	Section    string // in lower case
	Subsection string // as it is
	Name       string // in lower case
	Value      string
}

// Key is the variable's name without its subsection: "core.hookspath".
func (v Variable) Key() string { return v.Section + "." + v.Name }

// Parse reads a configuration as git does (git-config(1), "Syntax"), but where git would
// give up it goes on with the next line: the file may be another tomorrow.
func Parse(text string) (list []Variable) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	p := parser{rest: text}
	var v Variable
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '[':
			if section, subsection, ok := p.header(); ok {
				v.Section, v.Subsection = section, subsection
			}
		case c == '#' || c == ';':
			p.line()
		case letter(c):
			v.Name = strings.ToLower(p.while(func(c byte) bool { return letter(c) || digit(c) || c == '-' }))
			p.while(blank)
			v.Value = ""
			if strings.HasPrefix(p.rest, "=") {
				p.rest = p.rest[1:]
				v.Value = p.value()
			} else {
				p.line()
			}
			list = append(list, v)
		case c == '\n' || blank(c):
			p.rest = p.rest[1:]
		default:
			p.line()
		}
	}
	return list
}

type parser struct{ rest string }

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }
func blank(c byte) bool  { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// while takes what a test holds for.
func (p *parser) while(is func(byte) bool) string {
	n := 0
	for n < len(p.rest) && is(p.rest[n]) {
		n++
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

// line takes the rest of the line.
func (p *parser) line() {
	_, p.rest, _ = strings.Cut(p.rest, "\n")
}

// header takes [section], [section.subsection] or [section "subsection"]. What follows it
// in its line is a variable.
func (p *parser) header() (section, subsection string, ok bool) {
	p.rest = p.rest[1:]
	section = strings.ToLower(p.while(func(c byte) bool { return letter(c) || digit(c) || c == '-' || c == '.' }))
	section, subsection, _ = strings.Cut(section, ".")
	p.while(blank)
	if strings.HasPrefix(p.rest, `"`) {
		p.rest = p.rest[1:]
		var b strings.Builder
		for p.rest != "" && p.rest[0] != '"' && p.rest[0] != '\n' {
			if p.rest[0] == '\\' && len(p.rest) > 1 {
				p.rest = p.rest[1:]
			}
			b.WriteByte(p.rest[0])
			p.rest = p.rest[1:]
		}
		subsection = b.String()
		p.rest = strings.TrimPrefix(p.rest, `"`)
	}
	if !strings.HasPrefix(p.rest, "]") {
		p.line()
		return "", "", false
	}
	p.rest = p.rest[1:]
	return section, subsection, true
}

// value takes a value up to the end of its line, which a backslash continues.
func (p *parser) value() string {
	p.while(blank)
	var b strings.Builder
	quoted, kept := false, 0 // kept: bytes that no trimming takes
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '\n':
			return b.String()[:kept]
		case c == '"':
			quoted = !quoted
			kept = max(kept, b.Len())
			continue
		case c == '\\' && p.rest != "":
			c, p.rest = p.rest[0], p.rest[1:]
			if c == '\n' {
				continue
			}
			b.WriteByte(unescaped(c))
			kept = b.Len()
			continue
		case (c == '#' || c == ';') && !quoted:
			p.line()
			return b.String()[:kept]
		}
		b.WriteByte(c)
		if quoted || !blank(c) {
			kept = b.Len()
		}
	}
	return b.String()[:kept]
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	}
	return c
}
