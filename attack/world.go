package attack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"nacre/attack/wire"
	"nacre/fault"
)

// deliveryFolder is where the program and its configs lie, below the granted
// folder.
const deliveryFolder = "nacre-attack-probe"

// world is everything that the judge plants outside, and what it sees there.
type world struct {
	options     Options
	config      wire.Config
	base        string            // holds all of this run's files
	folder      string            // the granted folder
	outside     string            // beside it, not granted
	stdin       string            // the file that sandboxes get as standard input
	inherit     []*os.File        // left open for sandboxes
	environment []string          // left in the launcher's environment
	originals   map[string]string // files of the folder that must not change
	values      map[string][]string
	missing     map[string]error // canaries that could not be planted
	leftovers   []string
	left        remains // what there would be if this process were killed
	closers     []func()
	runs        int

	mu       sync.Mutex
	secrets  map[string]string // secret → what it was planted as
	arrivals map[string]string // probe → where its token arrived
	reached  map[string]bool   // probes that reached what is granted

	network Command // runs a sandbox with a network
}

// plant sets every canary.
func plant(ctx context.Context, o Options) (*world, error) {
	base, err := os.MkdirTemp("", "nacre-attack-")
	if err != nil {
		return nil, fault.Wrap(fault.Exhausted, err, "no room for the canaries").WithHint("TMPDIR must name a writable folder")
	}
	w := &world{options: o, base: base, folder: base + "/granted", outside: base + "/outside", stdin: base + "/outside/stdin",
		secrets: map[string]string{}, arrivals: map[string]string{}, reached: map[string]bool{}, missing: map[string]error{}, values: hostValues()}
	w.closers = append(w.closers, func() { w.removeBase() })
	w.config = wire.Config{Run: random(), Tag: random(), Safe: o.Safe, Limits: o.Limits, Folder: o.Inside}
	if w.config.Folder == "" {
		w.config.Folder = w.folder
	}
	w.left = remains{Run: w.config.Run, PID: os.Getpid()}
	steps := []func() error{w.hold, w.plantOutside, w.plantFolder, w.deliver, w.plantInherited, w.listen}
	for _, step := range steps {
		if err := step(); err != nil {
			w.close()
			return nil, fault.Wrap(fault.Conflict, err, "a canary could not be planted").WithHint("the judge needs to write below %s", os.TempDir())
		}
	}
	w.plantIPC()
	w.try("victim", w.startVictim())
	w.try("terminal", w.plantTerminal())
	w.try("outward", w.plantOutward())
	if !o.Safe {
		w.try("sibling", w.startSibling(ctx))
	} else {
		w.missing["sibling"] = fault.New(fault.Usage, "no second sandbox with safe probes")
	}
	return w, nil
}

// try notes a canary that could not be planted; its probes say so.
func (w *world) try(name string, err error) {
	if err != nil {
		w.missing[name] = err
	}
}

func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	w.closers = nil
}

func random() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// secret makes a new planted secret.
func (w *world) secret(name string) string {
	s := wire.SecretPrefix + w.config.Tag + "-" + name + "-" + random()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[s] = name
	return s
}

// secretIn finds a planted secret in text.
func (w *world) secretIn(text string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, name := range w.secrets {
		if strings.Contains(text, s) {
			return name, true
		}
	}
	return "", false
}

// take records an arrival, if it is one of this run's.
func (w *world) take(where string, data []byte) bool {
	fields := strings.Fields(strings.TrimPrefix(string(data), wire.ArrivalPrefix))
	if !strings.HasPrefix(string(data), wire.ArrivalPrefix) || len(fields) < 2 || fields[0] != w.config.Run || len(fields[1]) > 64 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals[fields[1]] = where
	return true
}

// arrived tells where a probe's token arrived, after looking at the places
// that do not report by themselves.
func (w *world) arrived(id string) (string, bool) {
	w.collectFiles()
	w.mu.Lock()
	defer w.mu.Unlock()
	where, ok := w.arrivals[id]
	return where, ok
}

// collectFiles looks for tokens in the file that was standard input and in the
// folders where nothing may appear.
func (w *world) collectFiles() {
	if data, err := os.ReadFile(w.stdin); err == nil {
		if i := strings.Index(string(data), wire.ArrivalPrefix); i >= 0 {
			w.take("the file that was standard input", data[i:])
		}
	}
	for _, dir := range w.config.WritePlace {
		name := filepath.Join(dir, "nacre-attack-"+w.config.Run)
		if st, err := os.Lstat(name); err == nil && st.Mode().IsRegular() {
			data, _ := os.ReadFile(name)
			w.take(name, data)
			os.Remove(name)
		}
	}
}

// survivors lists processes of this run that still live, attributes them, and
// ends them.
func (w *world) survivors() []process {
	alive := waitGone(w.config.Run, filepath.Base(w.base)+"/granted")
	for _, p := range alive {
		if p.probe == "" {
			w.leftovers = append(w.leftovers, fmt.Sprintf("process %d: %s", p.pid, clean(p.command)))
		}
		p.end()
	}
	return alive
}
