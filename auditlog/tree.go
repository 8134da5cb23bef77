package auditlog

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the Merkle tree (RFC 6962) of the records so far: as much of it as is
// needed to add more and to tell its root. Its zero value is the empty tree.
type Tree struct {
	n     int64
	peaks [63]tlog.Hash // of the complete subtrees that the bits of n name
}

// ReadHashes gives tlog the only hashes that it asks for: the peaks.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, _ := tlog.SplitStoredHashIndex(index)
		list[i] = t.peaks[level]
	}
	return list, nil
}

// add appends the hash of a record.
func (t *Tree) add(h tlog.Hash) {
	stored, _ := tlog.StoredHashesForRecordHash(t.n, h, t) // ReadHashes has no errors
	top := len(stored) - 1
	t.peaks[top] = stored[top]
	t.n++
}

// root is the hash of the whole tree.
func (t *Tree) root() tlog.Hash {
	h, _ := tlog.TreeHash(t.n, t)
	return h
}

// bytes are the peaks, the highest first.
func (t *Tree) bytes() (b []byte) {
	for level := len(t.peaks) - 1; level >= 0; level-- {
		if t.n>>level&1 == 1 {
			b = append(b, t.peaks[level][:]...)
		}
	}
	return b
}

var errPeaks = errors.New("not the peaks of a tree of that size")

// treeOf makes a tree of n records from its peaks.
func treeOf(n int64, b []byte) (t Tree, err error) {
	if n < 0 {
		return t, errPeaks
	}
	t.n = n
	for level := len(t.peaks) - 1; level >= 0; level-- {
		if n>>level&1 == 0 {
			continue
		}
		if len(b) < tlog.HashSize {
			return Tree{}, errPeaks
		}
		b = b[copy(t.peaks[level][:], b[:tlog.HashSize]):]
	}
	if len(b) > 0 {
		return Tree{}, errPeaks
	}
	return t, nil
}
