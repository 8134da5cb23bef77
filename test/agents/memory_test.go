package agents

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// findings are what a search for a key came to.
type findings struct {
	inside   []string // programs in the sandbox that were searched
	places   []string // where the key is
	problems []string // what could not be searched
	gateway  bool     // the gateway's memory has it
	memory   int64    // the most that the processes inside had, in bytes
}

// search looks for a key in every process below one, and in the files that they
// see. Root can read them all; a plain user not nacre-init, which is not dumpable.
func search(parent int, key string) (f findings) {
	seen := false
	for _, pid := range below(parent) {
		at := "/proc/" + strconv.Itoa(pid)
		comm := strings.TrimSpace(slurp(at + "/comm"))
		has, err := memoryHas(at, key)
		switch {
		case comm == "nacre-gateway":
			f.gateway = f.gateway || has
			continue
		case !within(at):
			continue // the supervisor's own
		case err != nil && (os.Geteuid() == 0 || comm != "nacre-init"):
			f.problems = append(f.problems, fmt.Sprintf("the memory of %s: %v", comm, err))
		}
		f.inside = append(f.inside, comm)
		f.memory += peak(at)
		if has {
			f.places = append(f.places, "memory of "+comm)
		}
		for _, name := range []string{"environ", "cmdline"} {
			if strings.Contains(slurp(at+"/"+name), key) {
				f.places = append(f.places, name+" of "+comm)
			}
		}
		if !seen && comm != "nacre-init" {
			seen = true
			if f.files(at+"/root", key) == 0 {
				f.problems = append(f.problems, "not a file could be read")
			}
		}
	}
	if !seen {
		f.problems = append(f.problems, "there is no agent")
	}
	return f
}

// below are all processes that come from one.
func below(parent int) (pids []int) {
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, c := range children {
		for _, word := range strings.Fields(slurp(c)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(append(pids, pid), below(pid)...)
			}
		}
	}
	return pids
}

// within tells whether a process is in a process namespace of its own.
func within(at string) bool {
	for line := range strings.Lines(slurp(at + "/status")) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			own := strings.Fields(rest)
			us := 1
			for line := range strings.Lines(slurp("/proc/self/status")) {
				if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
					us = len(strings.Fields(rest))
				}
			}
			return len(own) > us
		}
	}
	return false
}

func slurp(path string) string {
	b, _ := os.ReadFile(path) // what is gone has nothing
	return string(b)
}

// peak is the most memory that a process had.
func peak(at string) int64 {
	_, rest, _ := strings.Cut(slurp(at+"/status"), "VmHWM:")
	var kb int64
	_, _ = fmt.Sscan(rest, &kb)
	return kb << 10
}

// files looks into all that is no device and no program of the machine's, and
// says how many it could read.
func (f *findings) files(root, key string) (read int) {
	for _, top := range []string{"home", "tmp", "var", "etc", "run", "dev/shm", "work", "srv", "root"} {
		_ = filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			content := slurp(path)
			if content != "" {
				read++
			}
			if strings.Contains(content, key) {
				f.places = append(f.places, strings.TrimPrefix(path, root))
			}
			return nil
		})
	}
	return read
}

const page = 4096

// memoryHas looks into every page that a process has.
func memoryHas(at, key string) (bool, error) {
	maps, err := os.Open(at + "/smaps")
	if err != nil {
		return false, err
	}
	defer maps.Close()
	memory, err := os.Open(at + "/mem")
	if err != nil {
		return false, err
	}
	defer memory.Close()
	present, err := os.Open(at + "/pagemap")
	if err != nil {
		return false, err
	}
	defer present.Close()
	var from, to uint64
	searched := 0
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		line := lines.Text()
		var a, b uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &a, &b); n == 2 {
			from, to = a, b
		}
		if rss, ok := strings.CutPrefix(line, "Rss:"); !ok || strings.Fields(rss)[0] == "0" {
			continue
		}
		n, has := regionHas(memory, present, from, to, []byte(key))
		if searched += n; has {
			return true, nil
		}
	}
	if searched == 0 {
		return false, errors.New("not a page could be read")
	}
	return false, lines.Err()
}

// regionHas looks into the pages of a region that are there, and says how many.
// Pages in a row are looked at as one.
func regionHas(memory, present *os.File, from, to uint64, key []byte) (pages int, has bool) {
	entries := make([]byte, (to-from)/page*8)
	n, _ := present.ReadAt(entries, int64(from/page*8))
	var text []byte
	for i := 0; i+8 <= n; i += 8 {
		if binary.LittleEndian.Uint64(entries[i:])>>62 == 0 { // neither in memory nor swapped out
			text = text[:0]
			continue
		}
		old := len(text)
		text = append(text, make([]byte, page)...)
		if _, err := memory.ReadAt(text[old:], int64(from)+int64(i/8)*page); err != nil {
			text = text[:0]
			continue
		}
		pages++
		if bytes.Contains(text[max(0, old-len(key)):], key) {
			return pages, true
		}
		if len(text) >= 256*page {
			text = append(text[:0], text[len(text)-page:]...)
		}
	}
	return pages, false
}
