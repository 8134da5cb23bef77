package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"nacre"
	"nacre/audit"
	"nacre/compile"
	"nacre/engine/native"
	"nacre/pool"
	"nacre/runs"
)

// standing is a process with a large heap that starts sandboxes when told.
type standing struct {
	name, enforces string
	in             io.WriteCloser
	out            *bufio.Scanner
	process        *exec.Cmd
	first, times   []time.Duration
}

func (b *bench) residents() (list []*standing, err error) {
	for _, how := range []struct{ mode, what string }{{"engine", "native engine"}, {"pool", "pool"}} {
		s := &standing{name: fmt.Sprintf("resident, %d MiB: %s", b.heap, how.what), enforces: "as nacre run"}
		s.process = exec.Command(b.self, "resident", how.mode, b.dir, strconv.Itoa(b.heap))
		s.process.Stderr = os.Stderr
		if s.in, err = s.process.StdinPipe(); err != nil {
			return nil, err
		}
		out, err := s.process.StdoutPipe()
		if err == nil {
			err = s.process.Start()
		}
		if err != nil {
			return nil, err
		}
		s.out = bufio.NewScanner(out)
		for range 2 {
			if err := s.once(); err != nil {
				return nil, err
			}
		}
		s.first, s.times = nil, nil
		list = append(list, s)
	}
	return list, nil
}

// once has it start one sandbox; it says how long that took, from asking for it
// to the end of the command, everything torn down.
func (s *standing) once() error {
	if _, err := io.WriteString(s.in, "start\n"); err != nil {
		return err
	}
	if !s.out.Scan() {
		return fmt.Errorf("it ended")
	}
	var first, all time.Duration
	_, err := fmt.Sscan(s.out.Text(), (*int64)(&first), (*int64)(&all))
	s.first, s.times = append(s.first, first), append(s.times, all)
	return err
}

func (s *standing) stop() {
	s.in.Close()
	_ = s.process.Wait()
}

// resident is the process: resident engine|pool DIR MIB.
func resident(args []string) error {
	dir := args[1]
	mib, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	heap := make([]byte, mib<<20)
	for i := 0; i < len(heap); i += 4096 {
		heap[i] = 1
	}
	defer runtime.KeepAlive(heap)
	p := plan("echo", ".")
	var said output
	streams := nacre.Streams{Out: &said}
	start := func() (nacre.Sandbox, error) { return nil, nil }
	settle := func() {}
	switch args[0] {
	case "engine":
		e, err := engine(dir)
		if err != nil {
			return err
		}
		start = func() (nacre.Sandbox, error) { return e.Start(context.Background(), p, streams) }
	case "pool":
		ready := pool.Open(nacre.Caller{UID: os.Geteuid(), PID: os.Getpid(), Name: "bench"}, p, 2, func() *exec.Cmd { return exec.Command("/proc/self/exe", "member", dir) })
		defer ready.Close()
		start = func() (nacre.Sandbox, error) { return ready.Start(context.Background(), p, streams) }
		settle = func() {
			for ready.Ready() < 2 {
				time.Sleep(time.Millisecond)
			}
		}
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		settle()
		said = output{}
		begun := time.Now()
		box, err := start()
		if err != nil {
			return err
		}
		exit, err := box.Wait()
		took := time.Since(begun)
		if err != nil || exit.Code != 0 {
			return fmt.Errorf("%+v, %v", exit, err)
		}
		settle() // what is made for the next one is not to disturb the others
		fmt.Println(said.first.Sub(begun).Nanoseconds(), took.Nanoseconds())
	}
	return nil
}

// member is one process of the pool.
func member(args []string) error {
	e, err := engine(args[0])
	if err != nil {
		return err
	}
	return pool.Serve(e)
}

func engine(dir string) (*native.Engine, error) {
	store, err := runs.Open(os.Geteuid(), filepath.Join(dir, "run"))
	if err != nil {
		return nil, err
	}
	log, err := audit.Open(filepath.Join(dir, "audit"), os.Geteuid())
	return &native.Engine{Init: filepath.Join(dir, "nacre-init"), Runs: store, Audit: log}, err
}

// plan is what nacre run without a manifest compiles to, as far as it matters.
func plan(command ...string) nacre.Plan {
	p := nacre.Plan{
		Version: 1, Command: command, Workdir: "/home/agent", Loopback: true,
		Image:       nacre.Image{Kind: nacre.ImageHost},
		Identity:    nacre.Identity{UID: compile.AgentID, Hostname: "bench"},
		Limits:      nacre.Limits{Memory: 2 << 30, CPUs: 2, Processes: 512, OpenFiles: 4096, Disk: 1 << 30, Output: 64 << 20, Time: time.Hour},
		Environment: []nacre.Variable{{Name: "PATH", Value: "/usr/bin:/bin"}},
	}
	if os.Geteuid() != 0 {
		p.Accepted = []nacre.Tier{nacre.TierWatchdog, nacre.TierOwnerUID}
	}
	p.Digest = compile.Digest(p)
	return p
}

// said is what a program printed as JSON.
func said[T any](out []byte) (v T, err error) { return v, json.Unmarshal(out, &v) }
