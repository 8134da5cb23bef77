package machine

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"nacre/fault"
	"nacre/test/vm/job"
)

// unit makes systemd run the job once the machine is up.
const unit = `[Unit]
Description=Job of a test machine
After=systemd-logind.service systemd-user-sessions.service dbus.service multi-user.target
[Service]
ExecStart=` + job.Guest + ` steps
`

// payload is a tar stream that the machine unpacks over its root.
type payload struct{ w *tar.Writer }

// writePayload writes the disk that carries the job, its files and the guest
// program into the machine.
func writePayload(file, guest string, j job.Job, files map[string]string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	p := payload{tar.NewWriter(f)}
	err = p.fill(guest, j, files)
	size, _ := f.Seek(0, io.SeekCurrent)
	// A disk is whole sectors; the tar stream ends before.
	return errors.Join(err, p.w.Close(), f.Truncate((size+1<<16)&^511), f.Close())
}

func (p payload) fill(guest string, j job.Job, files map[string]string) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := p.text(job.File, 0o644, text); err != nil {
		return err
	}
	if !j.Build {
		if err := p.unit(); err != nil {
			return err
		}
	}
	if err := p.add(job.Guest, guest); err != nil {
		return err
	}
	for name, from := range files {
		if !filepath.IsLocal(name) {
			return fault.New(fault.Usage, "a machine's file is named below %s, not %q", job.Dir, name)
		}
		if err := p.add(path.Join(job.Dir, name), from); err != nil {
			return err
		}
	}
	return nil
}

// unit puts the job's unit among those that a machine starts.
func (p payload) unit() error {
	if err := p.text(job.Unit, 0o644, []byte(unit)); err != nil {
		return err
	}
	wants := path.Dir(job.Unit) + "/multi-user.target.wants/" + path.Base(job.Unit)
	return p.w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: wants, Linkname: job.Unit, Mode: 0o777})
}

func (p payload) text(name string, mode int64, b []byte) error {
	err := p.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(b))})
	if err == nil {
		_, err = p.w.Write(b)
	}
	return err
}

// add adds a file, or a folder with all that is in it.
func (p payload) add(name, from string) error {
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		return p.entry(path.Join(name, filepath.ToSlash(rel)), file, d)
	})
}

func (p payload) entry(name, file string, d fs.DirEntry) error {
	info, err := os.Stat(file)
	if d.Type()&fs.ModeSymlink != 0 {
		info, err = d.Info()
	}
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = name
	if err := p.w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(p.w, f)
	return err
}
