package check

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"nacre/remedy"
	"nacre/settings"
	"nacre/skill"
)

// magic are the first bytes of what is more than text.
var magic = []struct {
	head, what string
	kind       string
}{
	{"\x7fELF", "a program for Linux", Program}, {"MZ", "a program for Windows", Program},
	{"\xfe\xed\xfa\xce", "a program for macOS", Program}, {"\xfe\xed\xfa\xcf", "a program for macOS", Program},
	{"\xcf\xfa\xed\xfe", "a program for macOS", Program}, {"\xce\xfa\xed\xfe", "a program for macOS", Program},
	{"\xca\xfe\xba\xbe", "a program for macOS or Java", Program}, {"\x00asm", "a WebAssembly program", Program},
	{"!<arch>\n", "a library of programs", Program}, {"PK\x03\x04", "an archive", Unread}, {"\x1f\x8b", "compressed", Unread},
	{"\x28\xb5\x2f\xfd", "compressed", Unread}, {"\xfd7zXZ\x00", "compressed", Unread}, {"BZh", "compressed", Unread},
	{"7z\xbc\xaf\x27\x1c", "an archive", Unread}, {"Rar!\x1a\x07", "an archive", Unread},
}

// media are the endings of what may well be binary, with what it then begins with.
var media = map[string][]string{".png": {"\x89PNG"}, ".jpg": {"\xff\xd8\xff"}, ".jpeg": {"\xff\xd8\xff"}, ".gif": {"GIF8"}, ".webp": {"RIFF"},
	".ico": {"\x00\x00\x01\x00"}, ".pdf": {"%PDF-"}, ".woff": {"wOFF"}, ".woff2": {"wOF2"}, ".ttf": {"\x00\x01\x00\x00", "true"}, ".otf": {"OTTO"},
	".wav": {"RIFF"}, ".mp3": {"ID3", "\xff\xfb", "\xff\xf3"}, ".mp4": {"\x00\x00\x00"}}

// scripts are the endings of what is run by something else.
var scripts = []string{".sh", ".bash", ".zsh", ".fish", ".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".ps1", ".bat", ".cmd", ".lua", ".r", ".go", ".awk", ".applescript"}

// content says what a file is by what it holds, and tells whether it is code.
func (l *look) content(f skill.File, data []byte) (code bool) {
	ext := strings.ToLower(path.Ext(f.Path))
	code = f.Executable || slices.Contains(scripts, ext) || bytes.HasPrefix(data, []byte("#!"))
	for _, m := range magic {
		if bytes.HasPrefix(data, []byte(m.head)) && (m.head != "MZ" || !utf8.Valid(data)) {
			l.add(High, m.kind, f.Path, "it is %s: nobody can read what it does", m.what)
			return code
		}
	}
	heads, expected := media[ext]
	text := utf8.Valid(data) && !bytes.Contains(data, []byte{0})
	begins := func(head string) bool { return bytes.HasPrefix(data, []byte(head)) }
	switch {
	case expected && !slices.ContainsFunc(heads, begins) && f.Size > 0:
		l.add(High, Disguise, f.Path, "its name says %s, its content does not", ext)
	case isDocument(f.Path) && (bytes.HasPrefix(data, []byte("#!")) || f.Executable):
		l.add(High, Disguise, f.Path, "it is called like a document, and can be run")
	case !text && !expected:
		l.add(High, Unread, f.Path, "it is neither text nor a known kind of image or document")
	case code:
		l.add(Note, Program, f.Path, "it can be run by an agent that reads the skill, with that agent's rights")
	}
	return code
}

// called says what a file means by its name.
func (l *look) called(f skill.File) {
	for _, step := range strings.Split(strings.ToLower(f.Path), "/") {
		if slices.Contains(settings.All(), step) && !slices.Contains(settings.Style(), step) {
			l.add(High, Settings, f.Path, "agents, editors or git obey a file or folder called %s", step)
		} else if strings.HasPrefix(step, ".") {
			l.add(Note, Settings, f.Path, "the name begins with a dot: it is hidden where folders are listed")
		}
	}
	if f.Size > maxText {
		l.add(Note, Size, f.Path, "it has %d KiB", f.Size>>10)
	}
}

// names says for which others the skill could be taken.
func (l *look) names(others, own []string) {
	mine := shape(l.skill.Name)
	for _, other := range slices.Concat(others, own) {
		switch {
		case other == l.skill.Name && slices.Contains(own, other):
			l.add(High, Typosquat, skill.Main, "%s is the name of one of Nacre's own", other)
		case other == l.skill.Name:
		case shape(other) == mine, len(other) > 4 && remedy.Near(l.skill.Name, []string{other}) != "" && len(l.skill.Name) > 4:
			l.add(High, Typosquat, skill.Main, "the name %s could be mistaken for %s", l.skill.Name, other)
		}
	}
}

// shape makes names equal that look alike.
func shape(name string) string {
	return strings.NewReplacer("-", "", "0", "o", "1", "l", "i", "l", "5", "s", "rn", "m", "vv", "w", "skill", "", "official", "").Replace(name)
}
