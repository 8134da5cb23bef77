package auditlog

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"nacre/fault"
)

// Sign verifies the whole record and signs what it is now.
func Sign(dir string, signer func() (*Key, error)) (Report, []byte, error) {
	s := newScanner(Report{}, func(Record) error { return nil })
	report, err := s.read(context.Background(), dir)
	if err == nil && s.tree.n == 0 {
		err = fault.New(fault.NotFound, "there is no record yet to make a checkpoint of").WithHint("the first run makes one: nacre run -- true")
	}
	if err != nil {
		return report, nil, err
	}
	key, err := signer()
	if err != nil {
		return report, nil, err
	}
	text, err := sign(&s.tree, key)
	return report, text, err
}

// proofHeader is the first line of a proof, in the form that logs share.
const proofHeader = "c2sp.org/tlog-proof@v1"

// maxProof bounds what is read as a proof.
const maxProof = 512 << 10

// Prove makes a proof that stands by itself: the record, its place in the tree,
// and a checkpoint of the record as it is now.
func Prove(dir string, seq uint64, signer func() (*Key, error)) ([]byte, error) {
	var line []byte
	s := newScanner(Report{}, nil)
	s.emit = func(r Record) error {
		if r.Seq == seq {
			line = bytes.Clone(s.raw)
		}
		return nil
	}
	report, err := s.read(context.Background(), dir)
	switch {
	case err != nil:
		return nil, err
	case seq > 0 && seq <= report.Removed:
		return nil, fault.New(fault.NotFound, "record %d was removed; those after %d are there", seq, report.Removed).
			WithHint("a proof that was made before still holds; what is removed can be proven no more")
	case line == nil:
		return nil, fault.New(fault.NotFound, "there is no record %d, the last is %d", seq, report.Seq).WithHint("nacre audit show prints their numbers first in each line")
	}
	index := int64(seq) - 1
	hashes, err := tlog.ProveRecord(s.tree.n, index, tlog.HashReaderFunc(func(want []int64) ([]tlog.Hash, error) { return subtrees(dir, want) }))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "audit")
	}
	key, err := signer()
	if err != nil {
		return nil, err
	}
	checkpoint, err := sign(&s.tree, key)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(line), index)
	for _, h := range hashes {
		fmt.Fprintln(&b, h)
	}
	fmt.Fprintf(&b, "\n%s", checkpoint)
	return b.Bytes(), nil
}

// subtrees computes hashes of complete subtrees from the records.
func subtrees(dir string, want []int64) ([]tlog.Hash, error) {
	trees := make([]Tree, len(want))
	n := int64(0)
	s := newScanner(Report{}, func(Record) error { return nil })
	s.leaf = func(_ *part, h tlog.Hash) {
		for i, index := range want {
			if level, at := tlog.SplitStoredHashIndex(index); n>>level == at {
				trees[i].add(h)
			}
		}
		n++
	}
	if _, err := s.read(context.Background(), dir); err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, len(want))
	for i := range trees {
		hashes[i] = trees[i].root()
	}
	return hashes, nil
}

// CheckProof says which record a proof proves, and by which checkpoint.
func CheckProof(text []byte, keys ...note.Verifier) (Record, Checkpoint, error) {
	bad := func(what string) (Record, Checkpoint, error) {
		return Record{}, Checkpoint{}, fault.New(fault.Invalid, "this is no proof of a record: %s", what).WithHint("nacre audit prove makes them")
	}
	head, message, ok := strings.Cut(string(text[:min(len(text), maxProof)]), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(text) > maxProof || len(lines) < 3 || lines[0] != proofHeader {
		return bad("its parts are not there")
	}
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	number, isIndex := strings.CutPrefix(lines[2], "index ")
	line, err := base64.StdEncoding.Strict().DecodeString(extra)
	index, err2 := strconv.ParseInt(number, 10, 64)
	if !isExtra || !isIndex || err != nil || err2 != nil || index < 0 || number != strconv.FormatInt(index, 10) {
		return bad("record or index cannot be read")
	}
	var proof tlog.RecordProof
	for _, l := range lines[3:] {
		h, err := tlog.ParseHash(l)
		if err != nil || h.String() != l {
			return bad("a hash cannot be read")
		}
		proof = append(proof, h)
	}
	c, err := OpenCheckpoint([]byte(message), keys...)
	if err != nil {
		return Record{}, c, err
	}
	r, body, err := decode(line)
	if err != nil || r.Seq != uint64(index)+1 || index >= c.Tree.N || tlog.CheckRecord(proof, c.Tree.N, c.Tree.Hash, index, tlog.RecordHash(body)) != nil {
		return Record{}, c, fault.New(fault.Tampered, "the proof does not show that this record is among the %d that were signed", c.Tree.N)
	}
	return r, c, nil
}
