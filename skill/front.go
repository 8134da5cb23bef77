package skill

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"nacre"
	"nacre/fault"
	"nacre/pattern"
	"nacre/strict"
)

// Front is the front matter of SKILL.md, with the keys of the open format and
// no others.
type Front struct {
	Name          string            `yaml:"name,required" about:"lower-case letters, digits and single hyphens, at most 64; the folder's name too"`
	Description   string            `yaml:"description,required" about:"what it does and when to use it, at most 1024 characters"`
	License       string            `yaml:"license" about:"a licence's name, or a file that comes with it"`
	Compatibility string            `yaml:"compatibility" about:"what it needs around it, at most 500 characters"`
	AllowedTools  string            `yaml:"allowed-tools" about:"tools that its author would allow, separated by spaces; it grants nothing"`
	Metadata      map[string]string `yaml:"metadata" about:"further keys, each with a text"`
	Origin        nacre.Origin
}

// capabilitiesKey is where metadata says what capabilities.yaml must be.
const capabilitiesKey = "nacre-capabilities"

const (
	maxName          = 64
	maxDescription   = 1024
	maxCompatibility = 500
)

var nameForm = pattern.Of(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// CheckName refuses what can be no skill's name.
func CheckName(name string) error {
	if len(name) > maxName || !nameForm().MatchString(name) {
		return fault.New(fault.Invalid, "name: expected lower-case letters, digits and single hyphens, at most %d, found %.80q", maxName, name)
	}
	return nil
}

// Check refuses what the format does not allow.
func (f *Front) Check() error {
	if err := CheckName(f.Name); err != nil {
		return strict.Invalid(f.Origin, "%v", err)
	}
	if strings.TrimSpace(f.Description) == "" || utf8.RuneCountInString(f.Description) > maxDescription {
		return strict.Invalid(f.Origin, "description: expected a text of at most %d characters", maxDescription)
	}
	if utf8.RuneCountInString(f.Compatibility) > maxCompatibility {
		return strict.Invalid(f.Origin, "compatibility: expected a text of at most %d characters", maxCompatibility)
	}
	return f.plain()
}

// plain refuses characters that steer a terminal, which an escape of YAML's may have
// brought: text of a line, or of several.
func (f *Front) plain() error {
	texts := [][2]string{{"description", f.Description}, {"license", f.License}, {"compatibility", f.Compatibility}, {"allowed-tools", f.AllowedTools}}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		texts = append(texts, [2]string{"metadata", key}, [2]string{"metadata", f.Metadata[key]})
	}
	for _, t := range texts {
		for _, r := range t[1] {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				return strict.Invalid(f.Origin, "%s: expected a text without control characters, found the control character %U", t[0], r)
			}
		}
	}
	return nil
}

// parseMain reads SKILL.md: front matter between two lines of ---, then text.
func parseMain(file string, text []byte) (f Front, body string, err error) {
	from := nacre.Origin{File: file, Line: 1, Column: 1}
	if i := bytes.IndexByte(bytes.ToValidUTF8(text, []byte{0}), 0); i >= 0 {
		return f, "", strict.Invalid(from, "expected UTF-8 text, found a binary byte at %d", i)
	}
	front, body, ok := SplitFront(string(text))
	if !ok {
		return f, "", strict.Invalid(from, "expected front matter: keys and values between two lines of ---")
	}
	_, err = strict.Decode(file, []byte(front), &f)
	return f, body, err
}

// SplitFront splits a SKILL.md: the front matter with an empty line in place of its first ---,
// so that lines keep their numbers; and what comes after it.
func SplitFront(text string) (front, body string, ok bool) {
	first, rest, ok := strings.Cut(text, "\n")
	if !ok || strings.TrimSuffix(first, "\r") != "---" {
		return "", "", false
	}
	var lines strings.Builder
	lines.WriteByte('\n')
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if strings.TrimSuffix(line, "\r") == "---" {
			return lines.String(), rest, true
		}
		lines.WriteString(line + "\n")
	}
	return "", "", false
}
