package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"nacre/assistant"
)

const (
	maxHits  = 200
	maxFiles = 50_000
)

// errEnough ends a search.
var errEnough = errors.New("enough")

func (p *place) searching() assistant.Tool {
	type arguments struct {
		Pattern string `json:"pattern"`
		Path    string `json:"path"`
		Name    string `json:"name"`
	}
	return define("search", "Find lines that match a regular expression in the text files below a folder, or, without a pattern, the files themselves. Hidden folders and node_modules are left out.",
		`"pattern":{"type":"string","description":"RE2; empty: list files"},"path":{"type":"string","description":"default: the working folder"},"name":{"type":"string","description":"only files whose names match, like *.go"}`, nil,
		func(ctx context.Context, a arguments) (string, error) {
			if a.Path == "" {
				a.Path = "."
			}
			root, err := p.path(a.Path)
			if err != nil {
				return "", err
			}
			if _, err := filepath.Match(a.Name, ""); err != nil {
				return "", fmt.Errorf("the name: %w", err)
			}
			what, err := regexp.Compile(a.Pattern)
			if err != nil {
				return "", fmt.Errorf("the pattern: %w", err)
			}
			s := search{root: root, name: a.Name}
			if a.Pattern != "" {
				s.what = what
			}
			return s.run(ctx)
		})
}

// search is one at work.
type search struct {
	root, name string
	what       *regexp.Regexp // nil: files are listed
	out        strings.Builder
	hits, seen int
}

func (s *search) run(ctx context.Context) (string, error) {
	err := filepath.WalkDir(s.root, func(path string, e fs.DirEntry, err error) error {
		s.seen++
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case s.seen > maxFiles || s.hits >= maxHits || s.out.Len() > most:
			return errEnough
		case err != nil && path == s.root:
			return err
		case err != nil:
			return nil // a folder that cannot be read
		case e.IsDir() && path != s.root && (strings.HasPrefix(e.Name(), ".") || slices.Contains([]string{"node_modules", "__pycache__"}, e.Name())):
			return fs.SkipDir
		case !e.Type().IsRegular():
			return nil
		}
		if match, _ := filepath.Match(s.name, e.Name()); s.name != "" && !match {
			return nil
		}
		s.file(path)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return "", err
	}
	if s.hits == 0 {
		return "nothing found", nil
	}
	if err != nil {
		s.out.WriteString("… there is more; search for something narrower\n")
	}
	return Bounded(s.out.String()), nil
}

// file lists a file, or the lines in it that match.
func (s *search) file(path string) {
	name, err := filepath.Rel(s.root, path)
	if err != nil || name == "." {
		name = path
	}
	if s.what == nil {
		s.hits++
		fmt.Fprintln(&s.out, name)
		return
	}
	f, st, err := open(path)
	if err != nil || st.Size() > maxFile {
		return
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	if start, _ := in.Peek(8000); binary(start) {
		return
	}
	for n := 1; s.hits < maxHits; n++ {
		line, err := readLine(in)
		if err != nil && line == "" {
			return
		}
		if s.what.MatchString(line) {
			s.hits++
			fmt.Fprintf(&s.out, "%s:%d: %s\n", name, n, strings.ToValidUTF8(line[:min(len(line), 300)], ""))
		}
	}
}
