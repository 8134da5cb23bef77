package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func processProbes() []probe {
	return []probe{
		{id: "descriptors.self-exe", ref: "CVE-2019-5736", bare: true,
			how:  "open for writing the program file of pid 1 and of every other process that is not this program",
			good: "read-only or refused; a busy file (ETXTBSY) would mean that only time protects it", run: selfExe},
		{id: "descriptors.proc-root", ref: "proc_pid_root(5)", proof: wire.BySecret, bare: true,
			how:  "read outside files through /proc/PID/root and /proc/PID/cwd of every visible process",
			good: "every visible process has the sandbox's own root, or refuses", run: procRoot},
		{id: "descriptors.proc-environ", ref: "proc_pid_environ(5); bubblewrap --clearenv", proof: wire.BySecret, bare: true,
			how:  "look for the launcher's secret in /proc/PID/environ of every visible process",
			good: "no visible process carries the launcher's environment", run: procEnviron},
		{id: "descriptors.proc-fd", ref: "proc_pid_fd(5)", proof: wire.BySecret, bare: true,
			how:  "reopen the descriptors of every visible process through /proc/PID/fd and walk on from open folders",
			good: "no descriptor of another process can be opened", run: procFd},
		{id: "descriptors.proc-mem", ref: "proc_pid_mem(5), CVE-2012-0056", bare: true,
			how:  "open the memory of pid 1 and of every other process, and of the host's canary process",
			good: "refused", run: procMem},
		{id: "others.processes", ref: "pid_namespaces(7)", proof: wire.BySecret, bare: true,
			how:  "read the command line of every visible process, one of which on the host carries a secret",
			good: "only the sandbox's own processes are visible", run: commandLines},
	}
}

// foreign lists the visible processes that are not this program's own.
func foreign() []int {
	var mine unix.Stat_t
	unix.Stat("/proc/self/exe", &mine)
	names, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil || pid == os.Getpid() {
			continue
		}
		var theirs unix.Stat_t
		if unix.Stat(name+"/exe", &theirs) == nil && theirs.Dev == mine.Dev && theirs.Ino == mine.Ino {
			continue
		}
		pids = append(pids, pid)
	}
	return pids
}

func selfExe(*wire.Config, *probe) outcome {
	var d doors
	for _, pid := range foreign() {
		if len(d.open)+len(d.shut) > 30 {
			break
		}
		path := fmt.Sprintf("/proc/%d/exe", pid)
		if err := canOpen(path, unix.O_WRONLY); err != unix.ENOENT { // kernel threads have none
			d.tried(path, err, unix.ETXTBSY)
		}
	}
	return d.outcome()
}

func procRoot(c *wire.Config, _ *probe) outcome {
	for _, pid := range foreign() {
		for _, secret := range c.Secrets {
			for _, path := range []string{"root" + secret, "cwd/" + filepath.Base(secret)} {
				data, _ := readSome(fmt.Sprintf("/proc/%d/%s", pid, path))
				if o, ok := stolen(c, fmt.Sprintf("/proc/%d/%s", pid, path), data); ok {
					return o
				}
			}
		}
	}
	return contained("%d processes of others visible, none leads outside", len(foreign()))
}

func procEnviron(c *wire.Config, _ *probe) outcome {
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	read := 0
	for _, name := range names {
		if name == fmt.Sprintf("/proc/%d/environ", os.Getpid()) {
			continue // its own environment is another probe's business
		}
		data, err := readSome(name)
		if err == nil {
			read++
		}
		if o, ok := stolen(c, name, data); ok {
			return o
		}
	}
	return contained("%d of %d environments read, no secret", read, len(names))
}

func procFd(c *wire.Config, _ *probe) outcome {
	for _, pid := range foreign() {
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, link := range links {
			if target, _ := os.Readlink(link); !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "/dev/") {
				continue // pipes would block, devices might react
			}
			data, _ := readSome(link)
			if o, ok := stolen(c, link, data); ok {
				return o
			}
			for _, secret := range c.Secrets {
				data, _ := readSome(link + "/" + filepath.Base(secret))
				if o, ok := stolen(c, link, data); ok {
					return o
				}
			}
		}
	}
	return contained("no descriptor of another process shows a secret")
}

func procMem(c *wire.Config, _ *probe) outcome {
	var d doors
	pids := foreign()
	if len(pids) > 30 {
		pids = pids[:30]
	}
	for _, pid := range append(pids, c.Victim) {
		path := fmt.Sprintf("/proc/%d/mem", pid)
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			d.tried(path, err)
			continue
		}
		// Kernel threads open, but have no memory.
		if _, err = unix.Pread(fd, make([]byte, 1), 0); err == unix.EIO {
			d.open = append(d.open, path+": open")
		}
		unix.Close(fd)
	}
	return d.outcome()
}

func commandLines(c *wire.Config, _ *probe) outcome {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		data, _ := readSome(name)
		if o, ok := stolen(c, name, data); ok {
			return o
		}
	}
	return contained("%d processes visible, the host's canary is not among them", len(names))
}
