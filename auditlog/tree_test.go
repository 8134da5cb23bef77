package auditlog

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The tree is the one of RFC 6962, as tlog computes it from all hashes.
func TestTreeIsTheStandardOne(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			list[i] = stored[index]
		}
		return list, nil
	})
	var tree Tree
	for n := range int64(300) {
		want, err := tlog.TreeHash(n, reader)
		if err != nil || n > 0 && tree.root() != want {
			t.Fatalf("%d records: %v, want %v (%v)", n, tree.root(), want, err)
		}
		again, err := treeOf(n, tree.bytes())
		if err != nil || again.root() != tree.root() {
			t.Fatalf("%d records: from its peaks %v, want %v (%v)", n, again.root(), tree.root(), err)
		}
		data := fmt.Append(nil, n)
		hashes, err := tlog.StoredHashes(n, data, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		tree.add(tlog.RecordHash(data))
	}
	for _, c := range []struct {
		n int64
		b []byte
	}{{-1, nil}, {0, make([]byte, 32)}, {3, make([]byte, 32)}, {3, make([]byte, 65)}, {1, nil}} {
		if _, err := treeOf(c.n, c.b); err == nil {
			t.Errorf("%d records and %d bytes of peaks passed", c.n, len(c.b))
		}
	}
}
