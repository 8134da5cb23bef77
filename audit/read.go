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
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often Follow looks for more.
const pollEvery = 100 * time.Millisecond

// Report is what reading the whole chain showed.
type Report struct {
	Records  uint64 `json:"records"`  // lines that are records
	Seq      uint64 `json:"seq"`      // of the last one
	Head     string `json:"head"`     // hash of the last one
	Torn     bool   `json:"torn"`     // torn record after Seq: a crash, which the next writer will seal
	Notes    int    `json:"notes"`    // records with a note
	Problems int    `json:"problems"` // places that were tampered with
	BadSeq   uint64 `json:"bad_seq"`  // the first of them: the sequence that belongs there
	Bad      string `json:"bad"`      // and what is wrong there
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
	s, err := newScanner(dir, emit)
	if err != nil {
		return Report{}, err
	}
	defer s.dir.Close()
	err = s.more(context.Background())
	r := s.report
	r.Seq, r.Head, r.Torn = s.head.seq, s.head.hash, s.size > 0
	if err == nil && r.Problems > 0 {
		err = tampered(dir, "at record %d: %s", r.BadSeq, r.Bad)
	}
	return r, err
}

// Follow is Read that waits for more until ctx ends, which is not an error.
func Follow(ctx context.Context, dir string, emit func(Record) error) error {
	s, err := newScanner(dir, emit)
	if err != nil {
		return err
	}
	defer s.dir.Close()
	for {
		if err := s.more(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
	}
}

// scanner follows the chain from its first line.
type scanner struct {
	dir    *os.Root
	emit   func(Record) error
	report Report
	file   fs.FileInfo // as last seen
	offset int64       // how much of it was read
	head   head        // its hash is empty where its line is no record
	time   time.Time
	torn   hash.Hash // over the torn bytes after head
	size   int64     // of those
}

func newScanner(dir string, emit func(Record) error) (*scanner, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failed(err)
	}
	return &scanner{dir: root, emit: emit, head: head{hash: noHash}, torn: sha256.New()}, nil
}

// more scans what was added since the last time. Under the lock no write is
// under way, so that what is unfinished then is a crash.
func (s *scanner) more(ctx context.Context) error {
	f, err := open(ctx, s.dir, os.O_RDONLY, unix.LOCK_SH, anybody)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	unix.Flock(int(f.Fd()), unix.LOCK_UN)
	if err != nil {
		return failed(err)
	}
	if s.file != nil && !os.SameFile(s.file, st) || st.Size() < s.offset {
		return tampered(f.Name(), "replaced or cut short while it was being read")
	}
	s.file = st
	in := bufio.NewReaderSize(io.NewSectionReader(f, s.offset, st.Size()-s.offset), maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return failed(err)
		}
		if len(line) == 0 {
			return nil
		}
		s.offset += int64(len(line))
		if err := s.line(line, err == bufio.ErrBufferFull); err != nil {
			return err
		}
	}
}

// line takes one line, or a piece of one that is too long for any record.
func (s *scanner) line(line []byte, long bool) error {
	if !long && isTorn(line) {
		s.torn.Write(line)
		s.size += int64(len(line))
		return nil
	}
	r, err := decode(line)
	expected := s.head.seq + 1
	if err != nil {
		s.head = head{seq: expected}
		r.Seq, r.Problem = expected, err.Error()
	} else {
		r.Problem = s.wrong(r)
		r.Note = s.note(r)
		s.head, s.time, s.size = head{r.Seq, r.Hash}, r.Time, 0
		s.torn.Reset()
	}
	s.count(r, expected)
	return s.emit(r)
}

// wrong says why r cannot stand where it stands. The scan goes on from r as
// if it could, so that one fault is not told again for every record after it.
func (s *scanner) wrong(r Record) string {
	size, sum := strconv.FormatInt(s.size, 10), hex.EncodeToString(s.torn.Sum(nil))
	switch crash := r.Kind == kindCrash; {
	case !crash && s.size > 0:
		return fmt.Sprintf("%s bytes after record %d that no crash record tells of", size, s.head.seq)
	case crash && (s.size == 0 || r.Detail["bytes"] != size || r.Detail["sha256"] != sum):
		return fmt.Sprintf("what is torn after record %d is not what the crash record tells of", s.head.seq)
	case r.Seq != s.head.seq+1:
		return fmt.Sprintf("record %d where %d belongs: missing, moved or added", r.Seq, s.head.seq+1)
	case s.head.hash != "" && r.Prev != s.head.hash:
		return fmt.Sprintf("does not follow record %d: one of the two was changed", s.head.seq)
	}
	return ""
}

func (s *scanner) note(r Record) (text string) {
	if r.Kind == kindCrash {
		text = fmt.Sprintf("torn record after sequence %d: crash, sealed; ", s.head.seq)
	}
	if r.Time.Before(s.time) {
		text += fmt.Sprintf("the clock went back by %v", s.time.Sub(r.Time))
	}
	return strings.TrimSuffix(text, "; ")
}

func (s *scanner) count(r Record, expected uint64) {
	if r.Version > 0 {
		s.report.Records++
	}
	if r.Note != "" {
		s.report.Notes++
	}
	if r.Problem != "" {
		if s.report.Problems++; s.report.Problems == 1 {
			s.report.BadSeq, s.report.Bad = expected, r.Problem
		}
	}
}
