package auditlog

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"nacre/audit"
)

// Report is what reading the record showed.
type Report struct {
	Records  uint64 `json:"records"`  // lines that are records
	Removed  uint64 `json:"removed"`  // records 1 to this were removed by retention; their hashes stand for them
	Seq      uint64 `json:"seq"`      // of the last one
	Head     string `json:"head"`     // hash of the last one; empty where that is no record
	Root     string `json:"root"`     // of the Merkle tree of all
	Signed   uint64 `json:"signed"`   // the most records that a checkpoint held against it covers
	Torn     bool   `json:"torn"`     // torn record after Seq: a crash, which the next writer will seal
	Problems int    `json:"problems"` // places that were tampered with
	BadSeq   uint64 `json:"bad_seq"`  // the first of them: the sequence that belongs there
	Bad      string `json:"bad"`      // and what is wrong there

	told uint64 // records that were removed, as the record itself says
	tree Tree
	at   fs.FileInfo // the file that was read last
	end  int64       // and how far
}

// Against is what a record is held against, besides itself.
type Against struct {
	Checkpoints []Checkpoint
	Keys        []note.Verifier // of the checkpoints in the record itself
}

// Verify reads the whole record. Where anything was tampered with, the error is
// of kind Tampered and names the first place; a torn end is a crash, not that.
func Verify(dir string, against Against) (Report, error) {
	s := newScanner(Report{}, func(Record) error { return nil })
	s.against = against
	return s.read(context.Background(), dir)
}

// Read verifies the record like Verify and hands over every record in order,
// those with a Problem too. An error of emit ends it. It trusts nothing about
// dir, so that a copy can be read as well.
func Read(dir string, emit func(Record) error) (Report, error) {
	return Continue(context.Background(), dir, Report{}, emit)
}

// Continue is Read of what was added since another reading, whose report is
// from; ctx bounds the wait for writers. The error is of kind Tampered for new
// problems only.
func Continue(ctx context.Context, dir string, from Report, emit func(Record) error) (Report, error) {
	return newScanner(from, emit).read(ctx, dir)
}

func newScanner(from Report, emit func(Record) error) *scanner {
	s := &scanner{Report: from, emit: emit, torn: sha256.New()}
	if s.Seq == 0 {
		s.Head = audit.NoHash
	}
	return s
}

// read goes through all files that were not read yet.
func (s *scanner) read(ctx context.Context, dir string) (Report, error) {
	list, err := openParts(ctx, dir)
	if err != nil {
		return s.Report, err
	}
	defer list.close()
	todo, ok := s.unread(list)
	if !ok {
		return s.Report, audit.Tampered(dir, "replaced or cut short while it was being read")
	}
	before := s.Problems
	s.prepare()
	for i := range todo {
		if err := s.part(&todo[i]); err != nil {
			return s.Report, err
		}
	}
	s.Torn, s.Root = s.size > 0, s.tree.root().String()
	s.compare()
	if s.Problems > before {
		return s.Report, audit.Tampered(dir, "at record %d: %s", s.BadSeq, s.Bad)
	}
	return s.Report, nil
}

// unread are the files from the one on at which the last reading ended.
func (s *scanner) unread(list parts) (parts, bool) {
	if s.at == nil {
		return list, true
	}
	for i, p := range list {
		if os.SameFile(p.info, s.at) {
			return list[i:], p.info.Size() >= s.end
		}
	}
	return nil, false
}

// part reads one file, from where the last reading ended.
func (s *scanner) part(p *part) error {
	if s.at == nil || !os.SameFile(s.at, p.info) {
		s.at, s.end, s.fresh = p.info, 0, true
		if err := s.join(p); err != nil {
			return err
		}
	}
	s.now = p
	if p.bare {
		return s.hashes(p)
	}
	if err := s.scan(p.f, p.info.Size()); err != nil {
		return err
	}
	if s.fresh && s.Seq > 0 {
		return s.bad("nothing is left of " + p.name + ", which continues the file before")
	}
	return nil // a torn end stays noted: nothing in another file can seal it
}

// join sees that a file is the next one.
func (s *scanner) join(p *part) error {
	if p.first == 0 || p.first == s.Seq+1 {
		return nil
	}
	err := s.bad("expected here, but the next file is " + p.name + ": a file is missing, or bears a wrong name")
	s.Seq, s.Head = p.first-1, ""
	return err
}

// hashes takes what is left of a file that was removed.
func (s *scanner) hashes(p *part) error {
	if s.Seq != s.Removed {
		return s.bad("only hashes are left of " + p.name + ", though records before it are there")
	}
	var h tlog.Hash
	in := bufio.NewReaderSize(p.f, 64<<10)
	for {
		_, err := io.ReadFull(in, h[:])
		switch {
		case err == io.EOF:
			s.Removed, s.Head, s.fresh = s.Seq, "", false
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return s.bad(p.name + " is cut off")
		case err != nil:
			return audit.Failed(err)
		}
		s.Seq++
		s.add(h)
	}
}

// rest reads what was added to a file by itself.
func (s *scanner) rest(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return audit.Failed(err)
	}
	if st.Size() < s.end {
		return audit.Tampered(f.Name(), "cut short while it was being read")
	}
	s.size = 0
	s.torn.Reset()
	if err := s.scan(f, st.Size()); err != nil {
		return err
	}
	if s.Problems > 0 {
		return audit.Tampered(f.Name(), "at record %d: %s", s.BadSeq, s.Bad)
	}
	return nil
}

// scan reads a file from where the last reading ended to its size.
func (s *scanner) scan(f *os.File, size int64) error {
	in := bufio.NewReaderSize(io.NewSectionReader(f, s.end, size-s.end), audit.MaxLine)
	for {
		line, err := in.ReadSlice('\n') // or a piece of one that is too long for any record
		switch {
		case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
			return audit.Failed(err)
		case len(line) == 0:
			return nil
		case err != bufio.ErrBufferFull && audit.IsTorn(line):
			s.torn.Write(line)
			s.size += int64(len(line))
		default:
			if err := s.line(line); err != nil {
				return err
			}
		}
	}
}

// count reads a number of records.
func count(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}
