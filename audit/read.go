package audit

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Report is what reading the chain showed.
type Report struct {
	Records  uint64 `json:"records"`  // lines that are records
	Seq      uint64 `json:"seq"`      // of the last one
	Head     string `json:"head"`     // hash of the last one; empty where that is no record
	Torn     bool   `json:"torn"`     // torn record after Seq: a crash, which the next writer will seal
	Problems int    `json:"problems"` // places that were tampered with
	BadSeq   uint64 `json:"bad_seq"`  // the first of them: the sequence that belongs there
	Bad      string `json:"bad"`      // and what is wrong there

	file fs.FileInfo // what was read
	end  int64       // and how far
}

// Verify reads the whole chain. Where anything was tampered with, the error is
// of kind Tampered and names the first place; a torn end is a crash, not that.
func Verify(dir string) (Report, error) {
	return Read(dir, func(Record) error { return nil })
}

// Read verifies the chain like Verify and hands over every record in order,
// those with a Problem too. An error of emit ends it. It trusts nothing about
// dir, so that a copy can be read as well.
func Read(dir string, emit func(Record) error) (Report, error) {
	return Continue(context.Background(), dir, Report{}, emit)
}

// Continue is Read of what was added since another reading, whose report is
// from; ctx bounds the wait for writers. The error is of kind Tampered for new
// problems only.
func Continue(ctx context.Context, dir string, from Report, emit func(Record) error) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return from, failed(err)
	}
	defer root.Close()
	f, err := open(ctx, root, os.O_RDONLY, unix.LOCK_SH, anybody)
	if err != nil {
		return from, err
	}
	defer f.Close()
	st, err := f.Stat() // under the lock no write is under way: what is unfinished then is a crash
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	if err != nil {
		return from, failed(err)
	}
	if from.file != nil && !os.SameFile(from.file, st) || st.Size() < from.end {
		return from, tampered(f.Name(), "replaced or cut short while it was being read")
	}
	s := scanner{Report: from, emit: emit, torn: sha256.New()}
	if s.file = st; s.Seq == 0 {
		s.Head = noHash
	}
	err = s.scan(bufio.NewReaderSize(io.NewSectionReader(f, s.end, st.Size()-s.end), maxLine))
	s.Torn = s.size > 0
	if err == nil && s.Problems > from.Problems {
		err = tampered(dir, "at record %d: %s", s.BadSeq, s.Bad)
	}
	return s.Report, err
}

// scanner follows the chain, of which its Report is what was seen so far.
type scanner struct {
	Report
	emit func(Record) error
	torn hash.Hash // over the torn bytes after the last line
	size int64     // of those
}

func (s *scanner) scan(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n') // or a piece of one that is too long for any record
		switch {
		case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
			return failed(err)
		case len(line) == 0:
			return nil
		case err != bufio.ErrBufferFull && isTorn(line):
			s.torn.Write(line)
			s.size += int64(len(line))
		default:
			if err := s.line(line); err != nil {
				return err
			}
		}
	}
}

// line takes a line that is not torn. Where it cannot stand, the scan goes on
// as if it could, so that one fault is not told again for every record after.
func (s *scanner) line(line []byte) error {
	expected := s.Seq + 1
	r, err := decode(line)
	if err != nil {
		r = Record{Seq: expected, Problem: err.Error()}
	} else {
		s.Records++
		r.Problem = s.wrong(r)
	}
	if r.Problem != "" {
		if s.Problems++; s.Problems == 1 {
			s.BadSeq, s.Bad = expected, r.Problem
		}
	}
	s.Seq, s.Head, s.end, s.size = r.Seq, r.Hash, s.end+s.size+int64(len(line)), 0
	s.torn.Reset()
	return s.emit(r)
}

// wrong says why r cannot stand where it stands.
func (s *scanner) wrong(r Record) string {
	var told, torn string
	if r.Kind == kindCrash {
		told = r.Detail["bytes"] + " bytes, sha256:" + r.Detail["sha256"]
	}
	if s.size > 0 {
		torn = fmt.Sprintf("%d bytes, sha256:%s", s.size, hex.EncodeToString(s.torn.Sum(nil)))
	}
	switch {
	case told != torn:
		return fmt.Sprintf("torn after record %d is %q, but a crash record tells of %q", s.Seq, torn, told)
	case r.Seq != s.Seq+1:
		return fmt.Sprintf("record %d where %d belongs: missing, moved or added", r.Seq, s.Seq+1)
	case s.Head != "" && r.Prev != s.Head:
		return fmt.Sprintf("does not follow record %d: one of the two was changed", s.Seq)
	}
	return ""
}
