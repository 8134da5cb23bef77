package auditlog

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"nacre/audit"
)

// kindRemoved is the record of what retention is about to remove.
const kindRemoved = "records.removed"

// scanner follows chain and tree, of which its Report is what was seen so far.
type scanner struct {
	Report
	against Against
	emit    func(Record) error
	leaf    func(*part, tlog.Hash) // told of every record's hash, if set
	now     *part                  // what is being read
	fresh   bool                   // and nothing of it was, yet
	roots   map[int64]tlog.Hash    // of the trees that checkpoints tell of
	first   uint64                 // of a file that is read by itself
	raw     []byte                 // the line that a record was told of
	torn    hash.Hash              // over the torn bytes after the last line
	size    int64                  // of those
}

// prepare notes which trees to remember on the way.
func (s *scanner) prepare() {
	s.roots = map[int64]tlog.Hash{}
	for _, c := range s.against.Checkpoints {
		s.roots[c.Tree.N] = tlog.Hash{}
	}
	s.remember()
}

func (s *scanner) remember() {
	if _, wanted := s.roots[s.tree.n]; wanted {
		s.roots[s.tree.n] = s.tree.root()
	}
}

func (s *scanner) add(h tlog.Hash) {
	s.tree.add(h)
	s.remember()
	if s.leaf != nil {
		s.leaf(s.now, h)
	}
}

// bad notes that what belongs next is not there, or not as it was. The scan
// goes on as if it were, so that one fault is not told again for every record.
func (s *scanner) bad(problem string) error {
	s.note(s.Seq+1, problem)
	return s.emit(Record{Record: audit.Record{Seq: s.Seq + 1}, Problem: problem})
}

func (s *scanner) note(seq uint64, problem string) {
	if s.Problems++; s.Problems == 1 {
		s.BadSeq, s.Bad = seq, problem
	}
}

// line takes a line that is not torn.
func (s *scanner) line(line []byte) error {
	expected := s.Seq + 1
	r, body, err := decode(line)
	if err != nil {
		r = Record{Record: audit.Record{Seq: expected}, Problem: err.Error()}
	} else {
		s.Records++
		r.Problem = s.wrong(r)
	}
	if r.Problem != "" {
		s.note(expected, r.Problem)
	}
	if r.Kind == kindRemoved {
		if last, ok := count(r.Detail["last"]); ok {
			s.told = max(s.told, last)
		}
	}
	s.Seq, s.Head, s.end, s.size, s.fresh = r.Seq, r.Hash, s.end+s.size+int64(len(line)), 0, false
	s.torn.Reset()
	s.add(tlog.RecordHash(body))
	s.raw = line
	return s.emit(r)
}

// wrong says why r cannot stand where it stands.
func (s *scanner) wrong(r Record) string {
	var told, torn string
	if r.Kind == audit.KindCrash {
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
	case r.Kind == audit.KindSegment:
		return s.continues(r)
	case s.fresh && s.Seq > 0:
		return fmt.Sprintf("does not continue the file before, which ends with record %d", s.Seq)
	}
	return ""
}

// continues says what is wrong about the first record of a file that continues
// another: it tells what all records before it are.
func (s *scanner) continues(r Record) string {
	if !s.fresh || s.Seq == 0 {
		return "continues another file in the middle of one: moved or added"
	}
	c, _, err := opening(r, s.against)
	switch {
	case err != nil:
		return "its checkpoint is not as it was signed: " + err.Error()
	case s.Problems == 0 && (c.Tree.N != s.tree.n || c.Tree.Hash != s.tree.root()):
		return "its checkpoint is not of the records before it"
	}
	return ""
}

// opening reads what the first record of a file tells of those before.
func opening(r Record, against Against) (c Checkpoint, t Tree, err error) {
	// A newline is no printable character: audit writes it as an escape.
	c, err = claim(strings.ReplaceAll(r.Detail["checkpoint"], `\x0a`, "\n"), against.Keys...)
	if err != nil {
		return c, t, err
	}
	peaks, err := base64.StdEncoding.DecodeString(r.Detail["peaks"])
	if err != nil {
		return c, t, err
	}
	if t, err = treeOf(c.Tree.N, peaks); err == nil && t.root() != c.Tree.Hash {
		err = errPeaks
	}
	return c, t, err
}

// compare holds the whole against what is known of it from elsewhere, unless it
// is known to be wrong already.
func (s *scanner) compare() {
	if s.Problems > 0 {
		return
	}
	if s.Removed > s.told {
		s.note(1, fmt.Sprintf("records 1 to %d are missing, and no record tells that they were removed", s.Removed))
	}
	for _, c := range s.against.Checkpoints {
		switch n := c.Tree.N; {
		case n > s.tree.n:
			s.note(s.Seq+1, fmt.Sprintf("the checkpoint is of %d records, and here are %d: the newest %d are cut off", n, s.tree.n, n-s.tree.n))
		case s.roots[n] != c.Tree.Hash:
			s.note(1, fmt.Sprintf("the first %d records are not those that were signed: some were written anew", n))
		default:
			s.Signed = max(s.Signed, uint64(n))
		}
	}
}
