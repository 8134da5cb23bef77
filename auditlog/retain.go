package auditlog

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
	"nacre/fault"
)

// Remover removes the oldest closed files of a record. Their hashes stay, so
// that the rest is proven as before.
type Remover struct {
	Dir    string
	Owner  int
	Caller nacre.Caller
	Log    nacre.Recorder // told first
	Keep   int            // closed files that stay
	Before time.Time      // a file whose last record is not older stays too; zero: the age does not matter
}

// Removal is what was removed.
type Removal struct {
	Files []string `json:"files"`
	Last  uint64   `json:"last"` // records up to this one are gone
}

// Remove verifies the whole record, writes the hashes of what is to go, has it
// recorded, and only then removes files, the oldest first. A removal that was
// interrupted is gone on with by the next.
func (r Remover) Remove(ctx context.Context) (Removal, error) {
	chosen, err := r.choose(ctx)
	if err != nil || len(chosen) == 0 {
		return Removal{}, err
	}
	root, err := os.OpenRoot(r.Dir)
	if err != nil {
		return Removal{}, audit.Failed(err)
	}
	defer root.Close()
	done, report, err := r.keepHashes(ctx, root, chosen)
	if err != nil {
		return Removal{}, audit.Failed(err)
	}
	last := strconv.FormatUint(done.Last, 10)
	err = r.Log.Record(ctx, nacre.Event{
		Kind: kindRemoved, Caller: r.Caller, Decision: nacre.Allow, Rule: "owner", Reason: "retention: records 1 to " + last + " go, their hashes stay",
		Detail: map[string]string{"last": last, "of": strconv.FormatUint(report.Seq, 10), "root": report.Root},
	})
	if err != nil {
		return Removal{}, err
	}
	f, err := audit.Lock(ctx, root, os.O_RDONLY, unix.LOCK_EX, r.Owner) // no reading is in the middle of finding its files
	if err != nil {
		return Removal{}, err
	}
	defer audit.Unlock(f)
	for _, name := range done.Files {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Removal{}, audit.Failed(err)
		}
	}
	return done, audit.Failed(audit.SyncFolder(r.Dir))
}

// choose finds the files that are to go.
func (r Remover) choose(ctx context.Context) (chosen map[string]bool, err error) {
	list, err := openParts(ctx, r.Dir)
	if err != nil {
		return nil, err
	}
	defer list.close()
	chosen = map[string]bool{}
	for i, p := range list[:max(0, len(list)-1-max(0, r.Keep))] {
		if p.bare {
			continue
		}
		newest, err := list[i].newest()
		if err != nil {
			return nil, err
		}
		if !r.Before.IsZero() && !newest.Before(r.Before) {
			break
		}
		chosen[p.name] = true
	}
	return chosen, nil
}

// newest is the time of a file's last record.
func (p part) newest() (time.Time, error) {
	at := max(0, p.info.Size()-audit.MaxLine-audit.MaxRecord)
	in := bufio.NewReaderSize(io.NewSectionReader(p.f, at, p.info.Size()-at), audit.MaxLine)
	var last Record
	for {
		line, err := in.ReadSlice('\n')
		if r, _, bad := decode(line); bad == nil {
			last = r
		}
		switch {
		case err == io.EOF && last.Seq > 0:
			return last.Time, nil
		case err == io.EOF:
			return time.Time{}, audit.Tampered(p.name, "it does not end with a record")
		case err != nil && err != bufio.ErrBufferFull:
			return time.Time{}, audit.Failed(err)
		}
	}
}

// keepHashes writes the hashes of the chosen files beside them, once the whole
// record is verified.
func (r Remover) keepHashes(ctx context.Context, root *os.Root, chosen map[string]bool) (done Removal, _ Report, err error) {
	hashes := map[uint64][]byte{}
	s := newScanner(Report{}, func(Record) error { return nil })
	s.leaf = func(p *part, h tlog.Hash) {
		if !chosen[p.name] {
			return
		}
		if hashes[p.first] == nil {
			done.Files = append(done.Files, p.name)
		}
		hashes[p.first] = append(hashes[p.first], h[:]...)
		done.Last = s.Seq
	}
	report, err := s.read(ctx, r.Dir)
	if err != nil {
		return done, report, err
	}
	if len(done.Files) != len(chosen) {
		return done, report, fault.New(fault.Conflict, "audit %s changed meanwhile", r.Dir).WithHint("try again")
	}
	for first, b := range hashes {
		if err := place(root, r.Dir, hashesName(first), b, func() error { return nil }); err != nil {
			return done, report, err
		}
	}
	return done, report, nil
}
