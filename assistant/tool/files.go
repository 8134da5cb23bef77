package tool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"nacre/assistant"
)

const (
	// maxFile is the largest file that is edited or searched.
	maxFile = 8 << 20
	// maxLines is how many lines are read at once.
	maxLines = 2000
	// wide is how much of a line is shown.
	wide = 2000
)

// place are files, seen from a working folder.
type place struct {
	folder, home string
	changing     sync.Mutex // one change at a time
}

// Files are the tools that read, write, edit and search files.
func Files(folder, home string) []assistant.Tool {
	p := &place{folder: folder, home: home}
	return []assistant.Tool{p.reading(), p.writing(), p.editing(), p.searching()}
}

// path is a name as the model says it: relative to the working folder, or ~/….
func (p *place) path(name string) (string, error) {
	switch {
	case name == "" || strings.ContainsRune(name, 0):
		return "", errors.New("a path is needed")
	case name == "~" || strings.HasPrefix(name, "~/"):
		return filepath.Join(p.home, name[1:]), nil
	case filepath.IsAbs(name):
		return filepath.Clean(name), nil
	}
	return filepath.Join(p.folder, name), nil
}

// open opens a file and nothing that would hang or act when it is read.
func open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s is a folder; bash can list it", path)
	} else if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, st, nil
}

func (p *place) reading() assistant.Tool {
	type arguments struct {
		Path  string `json:"path"`
		Line  int    `json:"line"`
		Lines int    `json:"lines"`
	}
	return define("read", "Read a text file, with line numbers.",
		`"path":{"type":"string"},"line":{"type":"integer","description":"the first one; default 1"},"lines":{"type":"integer","description":"how many; at most 2000"}`, []string{"path"},
		func(_ context.Context, a arguments) (string, error) {
			path, err := p.path(a.Path)
			if err != nil {
				return "", err
			}
			f, _, err := open(path)
			if err != nil {
				return "", err
			}
			defer f.Close()
			lines := maxLines
			if a.Lines > 0 {
				lines = min(a.Lines, maxLines)
			}
			return numbered(f, max(a.Line, 1), lines)
		})
}

// numbered reads some lines of a text.
func numbered(from io.Reader, first, lines int) (string, error) {
	in := bufio.NewReaderSize(from, 64<<10)
	if start, _ := in.Peek(8000); binary(start) {
		return "", errors.New("this is no text")
	}
	var b strings.Builder
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err != nil && line == "" {
			if b.Len() == 0 {
				return fmt.Sprintf("(there are %d lines)", n-1), nil
			}
			return b.String(), nil
		}
		if n < first {
			continue
		}
		if n >= first+lines || b.Len()+len(line) > most {
			fmt.Fprintf(&b, "… it goes on at line %d\n", n)
			return b.String(), nil
		}
		fmt.Fprintf(&b, "%6d\t%s\n", n, strings.ToValidUTF8(line, "�"))
	}
}

// readLine reads a line, and keeps only the beginning of a long one.
func readLine(in *bufio.Reader) (string, error) {
	var kept []byte
	for {
		part, err := in.ReadSlice('\n')
		if room := wide - len(kept); room > 0 {
			kept = append(kept, part[:min(room, len(part))]...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return strings.TrimRight(string(kept), "\r\n"), err
		}
	}
}

func (p *place) writing() assistant.Tool {
	type arguments struct {
		Path    string `json:"path"`
		Content string `json:"content"`
	}
	return define("write", "Write a file, in place of what it held. Folders are made.",
		`"path":{"type":"string"},"content":{"type":"string"}`, []string{"path", "content"},
		func(_ context.Context, a arguments) (string, error) {
			path, err := p.path(a.Path)
			if err != nil {
				return "", err
			}
			p.changing.Lock()
			defer p.changing.Unlock()
			if err := save(path, a.Content); err != nil {
				return "", err
			}
			return fmt.Sprintf("%d bytes are in %s", len(a.Content), path), nil
		})
}

// save writes a file where it is: what is mounted there cannot be renamed.
func save(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

func (p *place) editing() assistant.Tool {
	type arguments struct {
		Path string `json:"path"`
		Old  string `json:"old"`
		New  string `json:"new"`
		All  bool   `json:"all"`
	}
	return define("edit", "Replace a text in a file by another. The old text must be there exactly once, or all is true.",
		`"path":{"type":"string"},"old":{"type":"string"},"new":{"type":"string"},"all":{"type":"boolean"}`, []string{"path", "old", "new"},
		func(_ context.Context, a arguments) (string, error) {
			path, err := p.path(a.Path)
			if err != nil {
				return "", err
			}
			p.changing.Lock()
			defer p.changing.Unlock()
			return edit(path, a.Old, a.New, a.All)
		})
}

func edit(path, old, new string, all bool) (string, error) {
	f, st, err := open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if st.Size() > maxFile {
		return "", fmt.Errorf("%s is too large to be edited", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	text := string(b)
	switch n := strings.Count(text, old); {
	case old == "" || old == new:
		return "", errors.New("the old text must be some, and another than the new")
	case n == 0:
		return "", errors.New("the old text is not in the file; read it again")
	case n > 1 && !all:
		return "", fmt.Errorf("the old text is there %d times; give more of what is around it, or all", n)
	default:
		if err := save(path, strings.ReplaceAll(text, old, new)); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d replaced in %s", n, path), nil
	}
}
