package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func limitProbes() []probe {
	return []probe{
		{id: "exhaustion.descriptors", ref: "setrlimit(2) RLIMIT_NOFILE", timeout: bombTimeout,
			how: "raise the soft limit and open descriptors, up to half again the limit and 70,000 at most", good: "EMFILE at the limit", run: descriptorBomb},
		{id: "exhaustion.sparse", ref: "truncate(2), RLIMIT_FSIZE", timeout: bombTimeout,
			how: "make a file of 1 TiB that takes no room, in the granted and a private folder", good: "refused; a sparse file left for the host's backup is noted", run: sparse},
		{id: "exhaustion.zombies", ref: "wait(2), PID 1 in containers", alone: true, timeout: bombTimeout,
			how: "leave 300 dead orphans to pid 1", good: "pid 1 reaps them", run: zombies},
		{id: "exhaustion.timers", ref: "timer_create(2), RLIMIT_SIGPENDING", timeout: bombTimeout,
			how: "make 20,000 timers", good: "refused at the limit of pending signals; otherwise noted", run: timers},
		{id: "exhaustion.locked-memory", ref: "mlock(2), RLIMIT_MEMLOCK",
			how: "lock 256 MiB of memory", good: "refused", run: lockedMemory},
		{id: "exhaustion.huge-pages", ref: "mmap(2) MAP_HUGETLB, memfd_create(2) MFD_HUGETLB",
			how: "take pages from the machine's pool of huge pages, which memory limits do not count", good: "refused, or the pool is empty", run: hugePages},
		{id: "exhaustion.notifications", ref: "inotify(7), /proc/sys/fs/inotify", timeout: bombTimeout,
			how: "open inotify instances up to 2,000: their number is counted by host user, so the owner's own editor goes without", good: "refused early, and counted for the sandbox alone; otherwise noted", run: notifications},
	}
}

func descriptorBomb(c *wire.Config, _ *probe) outcome {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	end := bombCap(c.Limits.OpenFiles, 64, capOpen, capOpen)
	var got int64
	for ; got < end; got++ {
		if _, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3); err != nil {
			return judged("descriptors", got, c.Limits.OpenFiles, 16, end, err)
		}
	}
	return judged("descriptors", got, c.Limits.OpenFiles, 16, end, nil)
}

func sparse(c *wire.Config, _ *probe) outcome {
	var d doors
	for _, dir := range []string{c.Folder, os.TempDir()} {
		name := filepath.Join(dir, ".nacre-sparse")
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err == nil {
			err = unix.Ftruncate(fd, 1<<40)
			unix.Close(fd)
			os.Remove(name)
		}
		if err == nil {
			d.note("%s: 1 TiB", dir)
		} else {
			d.tried(dir, err)
		}
	}
	return d.outcome()
}

func zombies(*wire.Config, *probe) outcome {
	made := 0
	for range 300 {
		pid, errno := forkExit(true)
		if errno != 0 {
			break
		}
		made++
		unix.Wait4(int(pid), nil, 0, nil)
	}
	left := 0
	for range 40 {
		if left = deadOrphans(); left == 0 {
			return contained("%d orphans, all reaped", made)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return escaped("%d of %d orphans stay as zombies", left, made)
}

// deadOrphans counts zombies with this program's name that no longer have a
// parent of their own.
func deadOrphans() int {
	count := 0
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		data, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(data), ") ")
		if strings.Contains(string(data), "(nacre-attack") && strings.HasPrefix(rest, "Z 1 ") {
			count++
		}
	}
	return count
}

func timers(*wire.Config, *probe) outcome {
	for i := range 20_000 {
		var id int32
		if _, err := call(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&id))); err != nil {
			return contained("stopped at %d timers: %s", i, errnoName(err))
		}
	}
	return info("20000 timers, no limit met")
}

func lockedMemory(*wire.Config, *probe) outcome {
	var d doors
	const size = 256 * mib
	_, err := call(unix.SYS_MMAP, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_LOCKED, ^uintptr(0))
	d.tried("256 MiB", err)
	return d.outcome()
}

func hugePages(*wire.Config, *probe) outcome {
	var d doors
	_, err := call(unix.SYS_MMAP, 0, 2*mib, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB, ^uintptr(0))
	d.tried("huge page", err)
	return d.outcome()
}

func notifications(*wire.Config, *probe) outcome {
	for i := range 2000 {
		if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			return contained("%s", fmt.Sprintf("stopped at %d instances: %s", i, errnoName(err)))
		}
	}
	return info("2000 instances, no limit met")
}
