package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"nacre/policy"
	"nacre/sandbox"
	"nacre/watch"
)

// insideFigure is one kind of work, beside the bare host. A ratio of 1 is the
// host's own speed.
type insideFigure struct {
	Name    string        `json:"name"`
	Host    time.Duration `json:"host_ns"`
	Sandbox time.Duration `json:"sandbox_ns"`
	Ratio   float64       `json:"ratio"`
	Rounds  int           `json:"rounds"`
}

// work is what is measured inside and outside, by the same program.
var work = []struct {
	name   string
	args   []string
	rounds int
}{
	{"compile (go build cmd/gofmt, nothing cached)", []string{"compile"}, 3},
	{"git status, 20,000 files, core.checkStat=minimal", []string{"status", "-c", "core.checkStat=minimal"}, 9},
	// The index tells whose the files are; inside they are somebody else's, so
	// that git reads every one again.
	{"git status, 20,000 files, as git is", []string{"status"}, 9},
	{"getppid, each", []string{"getppid"}, 9},
	{"open and close, each", []string{"open"}, 9},
}

const treeFiles = 20_000

// insides measures work, on the host and in a sandbox in turn.
func (b *bench) insides() error {
	repository := b.at("repository")
	if err := generate(repository, treeFiles); err != nil {
		return err
	}
	for _, c := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "-qm", "all"}} {
		git := exec.Command("git", c...)
		git.Dir = repository
		if out, err := git.CombinedOutput(); err != nil {
			return fmt.Errorf("git: %w: %.300s", err, out)
		}
	}
	host, err := os.MkdirTemp("/dev/shm", "nacre-bench") // a tmpfs, like the sandbox's
	if err != nil {
		return err
	}
	defer os.RemoveAll(host)
	cpus := strconv.Itoa(runtime.NumCPU())
	for _, w := range work {
		var times [2][]time.Duration
		for range w.rounds {
			for i, command := range [][]string{
				append([]string{b.self, "inside", repository, host}, w.args...),
				append([]string{b.at("nacre"), "run", "-q", "--limit", "memory=4GiB", "--limit", "disk=4GiB", "--limit", "cpus=" + cpus, "--limit", "processes=2048",
					"--files", b.self + "@/bench", "--files", repository + "@/repository", "--", "/bench", "inside", "/repository", "/tmp"}, w.args...),
			} {
				c := exec.Command(command[0], command[1:]...)
				c.Env = []string{"PATH=/usr/bin:/bin", "HOME=/root", "XDG_STATE_HOME=" + b.at("state0")}
				c.Dir, c.Stderr = "/", os.Stderr
				out, err := c.Output()
				if err != nil {
					return fmt.Errorf("%v: %w", command, err)
				}
				d, err := said[time.Duration](out)
				if err != nil {
					return err
				}
				times[i] = append(times[i], d)
			}
		}
		f := insideFigure{Name: w.name, Host: middle(times[0]), Sandbox: middle(times[1]), Rounds: w.rounds}
		f.Ratio = float64(f.Host) / float64(f.Sandbox)
		b.report.Inside = append(b.report.Inside, f)
	}
	return nil
}

func middle(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// inside does some work and prints how long it took: inside REPOSITORY TEMP WHAT.
func inside(args []string) (err error) {
	repository, temp := args[0], args[1]
	const calls = 500_000
	var d time.Duration
	switch args[2] {
	case "compile":
		d, err = compiled(temp)
	case "status":
		for range 2 { // the first reads the folder for the first time
			d, err = timed(command(temp, "git", slices.Concat(args[3:], []string{"-C", repository, "status", "--porcelain"})...))
		}
	case "getppid":
		begun := time.Now()
		for range calls {
			_, _, _ = syscall.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
		d = time.Since(begun) / calls
	case "open":
		begun := time.Now()
		for range calls / 10 {
			fd, err := unix.Open("/usr/bin/env", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			unix.Close(fd)
		}
		d = time.Since(begun) / (calls / 10)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(d)
}

// compiled compiles with the go program that is under /usr, which a sandbox sees.
func compiled(temp string) (time.Duration, error) {
	program := "/usr/local/go/bin/go"
	if _, err := os.Stat(program); err != nil {
		program = "/usr/bin/go"
	}
	dir, err := os.MkdirTemp(temp, "compile")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	return timed(command(dir, program, "build", "-o", filepath.Join(dir, "out"), "cmd/gofmt"))
}

// command is one with an environment of its own, the same everywhere.
func command(temp, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = temp
	c.Env = []string{"PATH=/usr/local/go/bin:/usr/bin:/bin", "HOME=" + temp, "TMPDIR=" + temp, "GOCACHE=" + filepath.Join(temp, "cache"), "GOFLAGS=-buildvcs=false",
		"GOTOOLCHAIN=local", "GOPROXY=off", "CGO_ENABLED=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	return c
}

func timed(c *exec.Cmd) (time.Duration, error) {
	begun := time.Now()
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%v: %w: %.500s", c.Args, err, out)
	}
	return time.Since(begun), err
}

// generate makes a folder of small files.
func generate(dir string, n int) error {
	for i := range n {
		folder := filepath.Join(dir, fmt.Sprintf("d%03d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("f%02d.txt", i%100)), []byte(strconv.Itoa(i)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// scan measures what looking for blocked names costs, which a start with a
// granted folder pays on top.
func (b *bench) scan() error {
	dir := b.at("large")
	if err := generate(dir, b.files); err != nil {
		return err
	}
	blocked, err := policy.NewBlocked(policy.BuiltIn())
	if err != nil {
		return err
	}
	var times []time.Duration
	for range 9 {
		begun := time.Now()
		pin, err := sandbox.OpenPin(dir)
		if err != nil {
			return err
		}
		w := watch.New(false)
		tree := &watch.Tree{Scanner: &sandbox.Scanner{Pin: pin, Blocked: blocked.MatchEntry}}
		if _, err = w.Scan(context.Background(), tree); err != nil {
			return err
		}
		times = append(times, time.Since(begun))
		w.Close()()
		pin.File.Close()
	}
	b.report.Scan = append(b.report.Scan, figureOf(fmt.Sprintf("%d files", b.files), "", times))
	return nil
}
