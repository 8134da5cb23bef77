package traps

import (
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxConfig bounds what is read of a repository's configuration, in bytes.
const maxConfig = 64 << 10

// The rules of what a configuration names.
var (
	toldHook   = rule{kind: GitHook, why: "git runs it by itself: its configuration has hooks in this folder"}
	toldConfig = rule{kind: GitConfig, why: "git obeys it, since its configuration includes it, and it can name programs to run"}
)

// configured notes where in a work tree its repository's configuration has hooks, and
// what it includes. It is read as lines, loosely: what is named too much is only told
// of. What lies outside of the folder is not the agent's to change.
func (w *walker) configured(at int, rel string) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(at, ".git/config", &how)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "config")
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return
	}
	text, _ := io.ReadAll(io.LimitReader(f, maxConfig)) // a part is better than nothing
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value, _, _ = strings.Cut(strings.ReplaceAll(value, ";", "#"), "#") // of a comment
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case value == "" || path.IsAbs(value) || value[0] == '~':
		case strings.HasSuffix(name, "hookspath"):
			w.tell(path.Join(rel, value), &toldHook)
		case strings.HasSuffix(name, "path"): // from the configuration's own folder
			w.tell(path.Join(rel, ".git", value), &toldConfig)
		}
	}
}

func (w *walker) tell(name string, r *rule) {
	if name = strings.TrimPrefix(name+"/", "./"); !strings.HasPrefix(name, "../") {
		name = strings.TrimSuffix(name, "/")
		w.told[name], w.size = r, w.size+len(name)
	}
}
