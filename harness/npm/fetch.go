package npm

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"nacre/fault"
)

// The bounds of what is fetched.
const (
	maxArchive  = 512 << 20
	maxUnpacked = 4 << 30
	maxEntries  = 400_000
)

const (
	atOnce   = 4
	attempts = 3
)

// Fetcher fetches packages into a folder: their files by number, and an index of
// what each is to be called.
type Fetcher struct {
	Registry string // such as https://registry.example.com
	Client   *http.Client
	Folder   *os.Root
	Told     func(done, of int, bytes int64) // after each package

	mu     sync.Mutex
	done   int
	bytes  int64
	budget budget
	files  int
	index  map[string]int
	places map[string]bool // of all packages
}

// All fetches and unpacks packages, each after its hash was found right. The
// first that is not right ends it.
func (f *Fetcher) All(ctx context.Context, list []Package) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.index, f.places = map[string]int{}, map[string]bool{}
	for _, p := range list {
		f.places[p.Place] = true
	}
	f.budget = budget{bytes: maxUnpacked, entries: maxEntries}
	work := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range work {
				if err := f.one(ctx, list[i], fmt.Sprintf(".archive-%d", i)); err != nil {
					cancel(fmt.Errorf("%s@%s: %w", list[i].Name, list[i].Version, err))
					return
				}
				f.tell(len(list))
			}
		})
	}
feeding:
	for i := range list {
		select {
		case work <- i:
		case <-ctx.Done():
			break feeding
		}
	}
	close(work)
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	text, err := json.Marshal(f.index)
	if err != nil {
		return err
	}
	return f.Folder.WriteFile(index, text, 0o644)
}

func (f *Fetcher) tell(of int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done++
	if f.Told != nil {
		f.Told(f.done, of, f.bytes)
	}
}

// one fetches one package by way of a file that is gone afterwards.
func (f *Fetcher) one(ctx context.Context, p Package, name string) error {
	archive, err := f.Folder.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := f.Folder.Remove(name); err != nil {
		return err
	}
	for n := 1; ; n++ {
		err = f.download(ctx, p, archive)
		if err == nil || n == attempts || ctx.Err() != nil || fault.KindOf(err) == fault.Tampered || fault.KindOf(err) == fault.NotFound {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(n) * time.Second):
		}
	}
	if err != nil {
		return err
	}
	return f.unpack(archive, p.Place)
}

// download writes the archive to a file, and compares its hash.
func (f *Fetcher) download(ctx context.Context, p Package, to *os.File) error {
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := to.Truncate(0); err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.Registry, "/")+p.path(), nil)
	if err != nil {
		return err
	}
	r, err := f.Client.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	switch {
	case r.StatusCode == http.StatusNotFound, r.StatusCode == http.StatusForbidden:
		return fault.New(fault.NotFound, "the registry answers %s", r.Status)
	case r.StatusCode != http.StatusOK:
		return fmt.Errorf("the registry answers %s", r.Status)
	}
	h := sha512.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(r.Body, maxArchive+1))
	switch {
	case err != nil:
		return err
	case n > maxArchive:
		return fault.New(fault.Tampered, "it has over %d MiB", maxArchive>>20)
	case !bytes.Equal(h.Sum(nil), p.SHA512):
		return fault.New(fault.Tampered, "it is not what the lock file has the hash of")
	}
	f.mu.Lock()
	f.bytes += n
	f.mu.Unlock()
	_, err = to.Seek(0, io.SeekStart)
	return err
}

// budget bounds what is unpacked, over all packages.
type budget struct {
	mu             sync.Mutex
	bytes, entries int64
}

var errTooMuch = errors.New("the packages are too large, or too many files")

func (b *budget) take(bytes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes -= bytes
	b.entries--
	if b.bytes < 0 || b.entries < 0 {
		return errTooMuch
	}
	return nil
}
