package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// restless is a folder in which a blocked name comes and goes all the time. Each time it
// holds another number.
type restless struct {
	t     *testing.T
	dir   string
	stop  chan struct{}
	ended sync.WaitGroup
	mu    sync.Mutex
	since []time.Time // when each was there for certain
	until []time.Time // when each was about to be removed
}

func newRestless(t *testing.T) *restless {
	r := &restless{t: t, dir: filepath.Join(t.TempDir(), "project"), stop: make(chan struct{})}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.put(".npmrc", "the whole time")
	r.ended.Go(func() {
		for {
			r.appear()
			time.Sleep(time.Duration(rand.IntN(20)*(1+rand.IntN(2)*10)) * time.Millisecond)
			select {
			case <-r.stop:
				return
			default:
			}
			r.mu.Lock()
			r.until = append(r.until, time.Now())
			r.mu.Unlock()
			_ = os.Remove(filepath.Join(r.dir, ".env"))
			time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		}
	})
	t.Cleanup(r.rest)
	return r
}

// rest leaves it as it is, with the name.
func (r *restless) rest() {
	select {
	case <-r.stop:
	default:
		close(r.stop)
	}
	r.ended.Wait()
}

func (r *restless) put(name, text string) {
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text+"\n"), 0o644); err != nil {
		r.t.Error(err)
	}
}

// appear has it there, made or renamed.
func (r *restless) appear() {
	r.mu.Lock()
	number := len(r.since)
	r.mu.Unlock()
	name := ".env"
	if number%2 == 1 {
		name = "new"
	}
	r.put(name, strconv.Itoa(number))
	if name != ".env" {
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(r.dir, ".env")); err != nil {
			r.t.Error(err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = append(r.since, time.Now())
}

// there tells whether one was there the whole time. The kernel takes the mount away
// before the name that it lies on: while a masked file is being removed it can be opened.
func (r *restless) there(number string, from, to time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := strconv.Atoi(number)
	return err == nil && n < len(r.since) && r.since[n].Before(from) && (n >= len(r.until) || r.until[n].After(to))
}

// attempts are the moments at which starts began, by the record.
func attempts(t *testing.T, home string) (list []time.Time) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(home, ".local/state/nacre/audit/audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var r struct {
			Kind string
			Time time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r.Kind == "sandbox.start" {
			list = append(list, r.Time)
		}
	}
	return list
}

// TestRestlessNames: a run starts though blocked names come and go while its sandbox is
// built, by being started anew. It never starts with one readable that was there before;
// where it does not start, it says why and what to do.
func TestRestlessNames(t *testing.T) {
	r, home := newRestless(t), t.TempDir()
	run := func() (out, errs string, code int, last time.Time, tried int) {
		before := 0
		if _, err := os.Stat(filepath.Join(home, ".local/state/nacre/audit")); err == nil {
			before = len(attempts(t, home))
		}
		var o, e bytes.Buffer
		cmd := exec.Command("sandbox", "--files", r.dir+"@/work/x", "--", "sh", "-c", "cat .npmrc; cat .env; echo ran")
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home, "XDG_STATE_HOME=", "XDG_CONFIG_HOME=")
		cmd.Stdout, cmd.Stderr = &o, &e
		_ = cmd.Run()
		list := attempts(t, home)
		return o.String(), e.String(), cmd.ProcessState.ExitCode(), list[len(list)-1], len(list) - before
	}
	started, again := 0, 0
	for n := 0; n < 200 && (started < 8 || again == 0); n++ {
		out, errs, code, last, tried := run()
		seen := strings.TrimSpace(strings.TrimSuffix(out, "ran\n"))
		if strings.Contains(seen, "time") || r.there(seen, last, time.Now()) {
			t.Fatalf("it read what was there before it started, at %v, after %d starts: %q\n%s", last, tried, seen, errs)
		}
		switch {
		case code == 125 && out == "" && tried == 4 && strings.Contains(errs, "\nhint: ") && strings.Contains(errs, "/work/x/.env"):
			continue // four times in a row
		case (code == 126 || code == 137) && strings.Contains(errs, "appeared in"):
			continue // once it had begun, and it had that open, or cannot be frozen to see whether it had
		case code != 0 || !strings.HasSuffix(out, "ran\n"):
			t.Fatalf("ended with %d after %d starts: %s%s", code, tried, out, errs)
		}
		if started++; tried > 1 {
			again++
		}
	}
	if started < 8 || again == 0 {
		t.Errorf("%d runs started, %d of them by starting again", started, again)
	}
	r.rest()
	if out, errs, code, _, tried := run(); out != "ran\n" || code != 0 || tried != 1 {
		t.Errorf("at rest: ended with %d after %d starts: %s%s", code, tried, out, errs)
	}
	t.Logf("%d runs started, %d of them by starting again", started, again)
}
