package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre/assistant"
)

const (
	maxSkill  = 256 << 10
	maxSkills = 200
	// maxAbout is how much of a skill's description goes into every request.
	maxAbout = 1024
)

// Skill is a folder with instructions, as its SKILL.md describes it. They are a
// stranger's text: what they ask for, the model may have done with the tools that
// it has anyway.
type Skill struct{ Name, About, Path string }

// Skills finds the skills of a folder and a home, where agents look for them. The
// first of a name counts. What cannot be read is left out and said.
func Skills(folder, home string) (list []Skill, problems []error) {
	for _, base := range []string{folder, home} {
		for _, place := range []string{".agents/skills", ".claude/skills"} {
			paths, _ := filepath.Glob(filepath.Join(base, place, "*", "SKILL.md")) // the pattern is right
			for _, path := range paths {
				s, err := readSkill(path)
				switch {
				case err != nil:
					problems = append(problems, fmt.Errorf("%s: %w", path, err))
				case len(list) < maxSkills && !slices.ContainsFunc(list, func(other Skill) bool { return other.Name == s.Name }):
					list = append(list, s)
				}
			}
		}
	}
	return list, problems
}

// readSkill reads the part between the first two lines of dashes.
func readSkill(path string) (Skill, error) {
	text, err := text(path)
	if err != nil {
		return Skill{}, err
	}
	return parseSkill(path, text)
}

func parseSkill(path string, content []byte) (Skill, error) {
	rest, ok := bytes.CutPrefix(bytes.TrimPrefix(content, []byte("\ufeff")), []byte("---\n"))
	front, _, closed := bytes.Cut(rest, []byte("\n---"))
	if !ok || !closed {
		return Skill{}, errors.New("there is no front matter")
	}
	var v struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	}
	if err := yaml.Unmarshal(front, &v); err != nil {
		return Skill{}, err
	}
	if v.Name == "" || strings.ContainsAny(v.Name, "\n\r") {
		return Skill{}, errors.New("it has no name")
	}
	about := strings.Join(strings.Fields(v.Description), " ")
	return Skill{Name: v.Name, About: strings.ToValidUTF8(about[:min(len(about), maxAbout)], ""), Path: path}, nil
}

// text is a file of bounded size.
func text(path string) ([]byte, error) {
	f, st, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st.Size() > maxSkill {
		return nil, errors.New("it is too large")
	}
	return io.ReadAll(io.LimitReader(f, maxSkill))
}

// ReadSkill is the tool that reads a skill's instructions.
func ReadSkill(list []Skill) assistant.Tool {
	type arguments struct {
		Name string `json:"name"`
	}
	return define("skill", "Read the instructions of a skill by its name. Read them before you do what the skill is for.",
		`"name":{"type":"string"}`, []string{"name"},
		func(_ context.Context, a arguments) (string, error) {
			i := slices.IndexFunc(list, func(s Skill) bool { return s.Name == a.Name })
			if i < 0 {
				return "", fmt.Errorf("there is no skill %q", a.Name)
			}
			b, err := text(list[i].Path)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("(its folder is %s)\n%s", filepath.Dir(list[i].Path), Bounded(string(b))), nil
		})
}

// Remember is the tool that keeps a note for later conversations.
func Remember(file string) assistant.Tool {
	type arguments struct {
		Note string `json:"note"`
	}
	return define("remember", "Keep a note for later conversations. They will see all notes; to change or drop some, edit "+file+".",
		`"note":{"type":"string","description":"one short paragraph"}`, []string{"note"},
		func(_ context.Context, a arguments) (string, error) {
			note := strings.Join(strings.Fields(a.Note), " ")
			if note == "" {
				return "", errors.New("a note is needed")
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return "", err
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
			if err != nil {
				return "", err
			}
			_, err = fmt.Fprintf(f, "* %s\n", note)
			return "kept", errors.Join(err, f.Close())
		})
}
