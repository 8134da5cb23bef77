package npm

import (
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"nacre/fault"
)

// index is the file that says what the fetched files are to be called.
const index = "index.json"

const maxIndex = 64 << 20

// Place gives the files that a Fetcher left in a folder their names, outside of the
// sandbox that it ran in: it opens none of them. What is not below node_modules is
// removed.
func Place(folder *os.Root) error {
	f, err := folder.Open(index)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "what was fetched has no index")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the index of what was fetched")
	}
	files, err := readIndex(text)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the index of what was fetched")
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := folder.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fault.Wrap(fault.Invalid, err, "what was fetched cannot be put in place")
		}
		if err := folder.Rename(numbered(files[name]), name); err != nil {
			return fault.Wrap(fault.Invalid, err, "what was fetched cannot be put in place")
		}
	}
	entries, err := fs.ReadDir(folder.FS(), ".")
	for _, e := range entries {
		if e.Name() != top && err == nil {
			err = folder.RemoveAll(e.Name())
		}
	}
	return err
}

const top = "node_modules"

// readIndex reads names and numbers.
func readIndex(text []byte) (map[string]int, error) {
	files := map[string]int{}
	if err := json.Unmarshal(text, &files); err != nil { // a key that is there twice: the last one
		return nil, err
	}
	seen := map[int]bool{}
	for name, number := range files {
		if !fs.ValidPath(name) || !strings.HasPrefix(name, top+"/") || strings.ContainsAny(name, "\x00\\") || number < 1 || seen[number] {
			return nil, fault.New(fault.Invalid, "it has %.80q as file %s", name, strconv.Itoa(number))
		}
		seen[number] = true
	}
	return files, nil
}
