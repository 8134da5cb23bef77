// Package script works inside a sandbox: it runs the scripts that a package of npm's
// has for its installation, in a copy of the package's folder, and writes what they
// made there. The sandbox holds them: no network, nothing to write to but private
// places. What comes out is theirs, and believed for nothing; see npm.Take.
package script

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"nacre/fault"
)

// Task is whose scripts are run, and where.
type Task struct {
	Layer   string    // the folder of the package's layer, read-only
	Place   string    // the package's, below it
	Others  []string  // folders of other layers, which may have a Node
	Scratch string    // a folder for the copy, which is made
	Out     io.Writer // gets what was made, as an archive
	Said    *os.File  // gets what the scripts print
}

// events are the scripts of an installation, in their order.
var events = [...]string{"preinstall", "install", "postinstall"}

// manifest is what is read of a package.json.
type manifest struct {
	Name    string         `json:"name"`
	Version string         `json:"version"`
	Scripts map[string]any `json:"scripts"`
}

// Run runs the scripts, and writes what differs afterwards.
func (t Task) Run() error {
	text, err := os.ReadFile(filepath.Join(t.Layer, t.Place, "package.json"))
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s/package.json: %w", t.Place, err)
	}
	if err := t.copy(); err != nil {
		return err
	}
	ran := false
	for _, event := range events {
		if line, ok := m.Scripts[event].(string); ok {
			ran = true
			if err := t.script(m, event, line); err != nil {
				return fault.New(fault.Invalid, "the script %s of %s: %v", event, m.Name, err)
			}
		}
	}
	if !ran {
		return fault.New(fault.Invalid, "%s has no scripts for its installation", m.Name)
	}
	return t.write()
}

// copy makes the package's folder anew, with what stands around it as links, so that
// it finds the other packages.
func (t Task) copy() error {
	folder := ""
	for part := range strings.SplitSeq(t.Place, "/") {
		if err := os.MkdirAll(filepath.Join(t.Scratch, folder), 0o700); err != nil {
			return err
		}
		beside, err := os.ReadDir(filepath.Join(t.Layer, folder))
		if err != nil {
			return err
		}
		for _, e := range beside {
			if e.Name() == part {
				continue
			}
			if err := os.Symlink(filepath.Join(t.Layer, folder, e.Name()), filepath.Join(t.Scratch, folder, e.Name())); err != nil {
				return err
			}
		}
		folder = filepath.Join(folder, part)
	}
	from := filepath.Join(t.Layer, t.Place)
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) { // masked: its name is one of those that are
			return nil
		}
		name, bad := filepath.Rel(from, path)
		if err = errors.Join(err, bad); err != nil {
			return err
		}
		return copyOne(path, filepath.Join(t.Scratch, t.Place, name), e)
	})
}

// copyOne copies a file or makes a folder. What is masked is left out.
func copyOne(from, to string, e fs.DirEntry) error {
	if e.IsDir() {
		return os.Mkdir(to, 0o700)
	}
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(from)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600|info.Mode()&0o111)
	if err != nil {
		return err
	}
	_, err = io.Copy(g, f)
	return errors.Join(err, g.Close())
}

// script runs one of them.
func (t Task) script(m manifest, event, line string) error {
	c := exec.Command("/bin/sh", "-c", line)
	c.Dir = filepath.Join(t.Scratch, t.Place)
	c.Stdout, c.Stderr = t.Said, t.Said
	c.Env = append(os.Environ(), "PATH="+t.path(), "INIT_CWD="+t.Scratch, "npm_lifecycle_event="+event, "npm_lifecycle_script="+line,
		"npm_package_name="+m.Name, "npm_package_version="+m.Version, "npm_package_json="+filepath.Join(c.Dir, "package.json"))
	return c.Run()
}

// path is where programs are looked for: a Node that was installed comes first.
func (t Task) path() string {
	list := []string{}
	for _, layer := range append([]string{t.Layer}, t.Others...) {
		for _, form := range []string{"node_modules/*/bin/node", "node_modules/@*/*/bin/node"} {
			found, _ := filepath.Glob(filepath.Join(layer, form)) // the form is right
			for _, node := range found {
				list = append(list, filepath.Dir(node))
			}
		}
	}
	return strings.Join(append(list, os.Getenv("PATH")), ":")
}

// write writes what is new or has changed.
func (t Task) write() error {
	w := tar.NewWriter(t.Out)
	top := filepath.Join(t.Scratch, t.Place)
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if !e.Type().IsRegular() {
			return fault.New(fault.Invalid, "the scripts left %s, which is neither a file nor a folder", name)
		}
		return t.add(w, path, name)
	})
	return errors.Join(err, w.Close())
}

// add writes a file, unless it is as it was.
func (t Task) add(w *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if same(f, info, filepath.Join(t.Layer, t.Place, name)) {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, info.Size())
	return err
}

// same tells whether a file is what another is.
func same(f io.Reader, info fs.FileInfo, other string) bool {
	g, err := os.Open(other)
	if err != nil {
		return false
	}
	defer g.Close()
	was, err := g.Stat()
	if err != nil || !was.Mode().IsRegular() || was.Size() != info.Size() || (was.Mode()&0o111 == 0) != (info.Mode()&0o111 == 0) {
		return false
	}
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(f, a)
		m, _ := io.ReadFull(g, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return false
		}
		if err != nil {
			return true // at the end of both
		}
	}
}
