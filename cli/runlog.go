package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	logBytes = 4 << 20 // kept of one run
	logRuns  = 50      // kept at all
)

// runLog keeps what a run writes, byte for byte, for nacre logs. It is a
// convenience, not the record: what cannot be kept is left out, and said so.
type runLog struct {
	dir  string
	mu   sync.Mutex
	f    *os.File
	size int
	err  error
}

func newRunLog(dir string) *runLog { return &runLog{dir: dir} }

// keptLog is the log of a run, which may have ended: its file is called ID.log, or
// ID.NAME.log where the owner has named the run.
type keptLog struct {
	id, name, path string
	written        time.Time // the last of it
}

func logPath(dir, id, name string) string {
	if name != "" {
		id += "." + name
	}
	return filepath.Join(dir, id+".log")
}

// logsIn are all logs that are kept, the newest first.
func logsIn(dir string) (list []keptLog) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		file, ok := strings.CutSuffix(e.Name(), ".log")
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		id, name, _ := strings.Cut(file, ".")
		list = append(list, keptLog{id, name, filepath.Join(dir, e.Name()), info.ModTime()})
	}
	slices.SortStableFunc(list, func(a, b keptLog) int { return b.written.Compare(a.written) })
	return list
}

// open begins the file of a run.
func (l *runLog) open(id, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = os.MkdirAll(l.dir, 0o700); l.err != nil {
		return
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL | unix.O_NOFOLLOW
	if f, err := os.OpenFile(logPath(l.dir, id, name), flags, 0o600); err == nil {
		l.f = f
	} else {
		l.err = err
	}
}

// discard takes the log of a run away that never began.
func (l *runLog) discard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		_ = os.Remove(l.f.Name())
		_ = l.f.Close()
		l.f = nil
	}
}

const cutMark = "\n[nacre: the rest was not kept]\n"

// Write never fails: the run goes on without its log.
func (l *runLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil || l.err != nil || l.size >= logBytes {
		return len(p), nil
	}
	kept := p[:min(len(p), logBytes-l.size)]
	l.size += len(kept)
	if l.size == logBytes {
		kept = slices.Concat(kept, []byte(cutMark))
	}
	_, l.err = l.f.Write(kept)
	return len(p), nil
}

// close ends the log and takes away the oldest ones.
func (l *runLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return l.err
	}
	l.f.Close()
	prune(l.dir)
	if l.err != nil {
		return fmt.Errorf("what the run wrote is not kept whole: %w", l.err)
	}
	return nil
}

// prune keeps the newest runs only.
func prune(dir string) {
	list := logsIn(dir)
	for _, l := range list[min(len(list), logRuns):] {
		_ = os.Remove(l.path)
	}
}
