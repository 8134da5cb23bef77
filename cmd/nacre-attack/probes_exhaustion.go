package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

const bombTimeout = 60 * time.Second

// The caps beyond which no bomb goes, whatever the limits say.
const (
	capProcesses = 5000
	capMemory    = 4 << 30
	capDisk      = 3 << 30
	capOutput    = 300 << 20
	capFiles     = 100_000
	capOpen      = 70_000
)

func exhaustionProbes() []probe {
	return []probe{
		{id: "exhaustion.forks", ref: "cgroup v2 pids, setrlimit(2)", alone: true, timeout: bombTimeout,
			how: "fork children that sleep, up to half again the limit and 5,000 at most", good: "fork fails at the limit", run: forkBomb},
		{id: "exhaustion.memory", ref: "cgroup v2 memory", alone: true, timeout: bombTimeout,
			how: "touch fresh memory, up to twice the limit and 4 GiB at most, and keep it for a second", good: "killed or refused at the limit", run: memoryBomb},
		{id: "exhaustion.memfd", ref: "memfd_create(2), tmpfs accounting", alone: true, timeout: bombTimeout,
			how: "the same through a memory file, which no rlimit counts", good: "killed or refused at the limit", run: memfdBomb},
		{id: "exhaustion.disk", ref: "tmpfs(5)", alone: true, timeout: bombTimeout,
			how: "fill the private places, up to half again the limit and 3 GiB at most", good: "no space left, at the limit", run: diskBomb},
		{id: "exhaustion.inodes", ref: "tmpfs(5) nr_inodes", alone: true, timeout: bombTimeout,
			how: "make 100,000 empty files in a private place", good: "refused before; without a refusal it is noted", run: inodeBomb},
		{id: "exhaustion.output", ref: "nacre: limits.output", alone: true, timeout: bombTimeout, proof: wire.ByOutput,
			how: "write to standard output and error until half again the limit, 300 MiB at most", good: "the output is cut at the limit", run: outputFlood},
		{id: "exhaustion.log-flood", ref: "nacre: audit", alone: true, timeout: bombTimeout, proof: wire.ByOutput,
			how: "make refused system calls for two seconds as fast as possible", good: "the record of them stays small", run: logFlood},
		{id: "exhaustion.cpu", ref: "cgroup v2 cpu.max", alone: true, timeout: bombTimeout,
			how: "spin on every processor for 1.5 seconds and count the time that was had", good: "not more than the limit", run: cpuBomb},
	}
}

// bombCap is where a bomb stops: a share beyond the limit, or the usual cap
// where no limit is told.
func bombCap(limit, slack, usual, most int64) int64 {
	if limit <= 0 {
		return usual
	}
	return min(limit+limit/2+slack, most)
}

// judged turns how far a bomb got into an outcome.
func judged(what string, got, limit, slack, end int64, err error) outcome {
	switch {
	case got >= end:
		return escaped("%d %s, no limit met", got, what)
	case limit > 0 && got > limit+slack:
		return escaped("%d %s where %d are the limit: %v", got, what, limit, err)
	}
	return contained("stopped at %d %s: %v", got, what, err)
}

func forkBomb(c *wire.Config, _ *probe) outcome {
	end := bombCap(c.Limits.Processes, 64, 3000, capProcesses)
	var pids []int
	var last error
	for int64(len(pids)) < end {
		pid, errno := forkSleeper(uintptr(unix.SIGCHLD))
		if errno != 0 {
			last = errno
			break
		}
		pids = append(pids, int(pid))
	}
	for _, pid := range pids {
		unix.Kill(pid, unix.SIGKILL)
	}
	for _, pid := range pids {
		unix.Wait4(pid, nil, 0, nil)
	}
	return judged("children at once", int64(len(pids)), c.Limits.Processes, 16, end, last)
}

const mib = 1 << 20

func memoryBomb(c *wire.Config, _ *probe) outcome {
	end := min(bombCap(c.Limits.Memory, c.Limits.Memory/2, 2<<30, capMemory), capMemory)
	var got int64
	for got < end {
		block, err := unix.Mmap(-1, 0, 16*mib, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return judged("bytes of memory", got, c.Limits.Memory, 64*mib, end, err)
		}
		for i := 0; i < len(block); i += 4096 {
			block[i] = byte(i >> 12)
		}
		got += int64(len(block))
	}
	time.Sleep(time.Second) // a watchdog that samples may come late, and has to come
	return judged("bytes of memory", got, c.Limits.Memory, 64*mib, end, nil)
}

func memfdBomb(c *wire.Config, _ *probe) outcome {
	end := min(bombCap(c.Limits.Memory, c.Limits.Memory/2, 2<<30, capMemory), capMemory)
	fd, err := unix.MemfdCreate("nacre-attack", unix.MFD_CLOEXEC)
	if err != nil {
		return contained("memfd_create: %s", errnoName(err))
	}
	got, err := fill(fd, end)
	return judged("bytes of a memory file", got, c.Limits.Memory, 64*mib, end, err)
}

func fill(fd int, end int64) (int64, error) {
	block := make([]byte, mib)
	for i := range block {
		block[i] = byte(i * 31)
	}
	var got int64
	for got < end {
		n, err := unix.Write(fd, block)
		if err != nil {
			return got, err
		}
		got += int64(n)
	}
	return got, nil
}

// privatePlaces are where a sandbox gives an agent room of its own.
func privatePlaces() []string {
	return []string{"/tmp", "/var/tmp", "/dev/shm", "/run", os.Getenv("HOME")}
}

func diskBomb(c *wire.Config, _ *probe) outcome {
	end := bombCap(c.Limits.Disk, 64*mib, 1<<30, capDisk)
	var total int64
	var last error = unix.EROFS
	for _, place := range privatePlaces() {
		name := filepath.Join(place, "nacre-attack-disk")
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
		if err != nil || place == "" {
			continue
		}
		defer os.Remove(name)
		defer unix.Close(fd)
		got, err := fill(fd, end-total)
		if total += got; err != nil {
			last = err
		}
	}
	return judged("bytes on disk", total, c.Limits.Disk, 16*mib, end, last)
}

func inodeBomb(*wire.Config, *probe) outcome {
	dir, err := os.MkdirTemp("", "nacre-attack-inodes")
	if err != nil {
		return contained("no private place: %s", errnoName(rootCause(err)))
	}
	defer os.RemoveAll(dir)
	for i := range capFiles {
		fd, err := unix.Open(fmt.Sprintf("%s/%d", dir, i), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return contained("stopped at %d files: %s", i, errnoName(err))
		}
		unix.Close(fd)
	}
	return info("%d files, no limit met", capFiles)
}

func outputFlood(c *wire.Config, _ *probe) outcome {
	end := bombCap(c.Limits.Output, 16*mib, 192*mib, capOutput)
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = "nacre-attack floods\n"[i%20]
	}
	var got int64
	for got < end {
		n, err := unix.Write(1+int(got/mib)%2, block)
		if err != nil {
			return contained("stopped at %d bytes: %s", got, errnoName(err))
		}
		got += int64(n)
	}
	unix.Write(1, []byte("\n")) // the result needs a line of its own
	return escaped("%d bytes were taken", got)
}

func logFlood(*wire.Config, *probe) outcome {
	refused := 0
	for end := time.Now().Add(2 * time.Second); refused < 500_000 && time.Now().Before(end); refused++ {
		unix.Mount("", "/nacre-attack-none", "", 0, "")
		trySocket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	}
	return contained("%d rounds of refused calls", refused)
}

func cpuBomb(c *wire.Config, _ *probe) outcome {
	const wall = 1500 * time.Millisecond
	processors := runtime.NumCPU()
	var wait sync.WaitGroup
	end := time.Now().Add(wall)
	for range processors {
		wait.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	wait.Wait()
	var usage unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &usage)
	used := time.Duration(usage.Utime.Nano()+usage.Stime.Nano()).Seconds() / wall.Seconds()
	evidence := fmt.Sprintf("%.2f of %d processors, limit %.2f", used, processors, c.Limits.CPUs)
	switch {
	case c.Limits.CPUs > 0 && c.Limits.CPUs >= float64(processors):
		return info("%s: the limit is not below what the machine has", evidence)
	case c.Limits.CPUs > 0 && used > c.Limits.CPUs*1.3+0.2:
		return escaped("%s", evidence)
	case c.Limits.CPUs > 0 && used < c.Limits.CPUs*0.6:
		return info("%s: others were using the machine, so this proves nothing", evidence)
	case c.Limits.CPUs > 0:
		return contained("%s", evidence)
	case used > float64(processors)*0.9:
		return escaped("%s: all of them", evidence)
	}
	return info("%s: no limit was told, and others were using the machine", evidence)
}
