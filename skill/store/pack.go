package store

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"io/fs"
	"slices"

	"nacre/fault"
	"nacre/skill"
)

// Pack writes a skill as a tar.gz, in a folder of its name: of the same skill
// always the same bytes.
func Pack(to io.Writer, s *skill.Skill, files fs.FS) error {
	z := gzip.NewWriter(to)
	w := tar.NewWriter(z)
	for _, name := range s.Folders {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: s.Name + "/" + name + "/", Mode: 0o755, Format: tar.FormatPAX}); err != nil {
			return fault.Wrap(fault.Exhausted, err, "cannot pack %s", name)
		}
	}
	all := s.Files
	if s.Signature != nil {
		all = append(slices.Clone(all), skill.File{Path: skill.SignatureFile, Size: int64(len(s.Signature))})
	}
	for _, f := range all {
		if err := packed(w, s.Name, f, files); err != nil {
			return fault.Wrap(fault.Exhausted, err, "cannot pack %s", f.Path)
		}
	}
	if err := w.Close(); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot pack %s", s.Name)
	}
	if err := z.Close(); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot pack %s", s.Name)
	}
	return nil
}

func packed(w *tar.Writer, folder string, f skill.File, files fs.FS) error {
	mode := int64(0o644)
	if f.Executable {
		mode = 0o755
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + f.Path, Size: f.Size, Mode: mode, Format: tar.FormatPAX}); err != nil {
		return err
	}
	in, err := files.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.CopyN(w, in, f.Size)
	return err
}
