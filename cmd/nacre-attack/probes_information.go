package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func informationProbes() []probe {
	rows := []probe{
		{id: "information.hostname", ref: "uts_namespaces(7)", proof: wire.ByHost, bare: true,
			how: "read the host's name", good: "a name of its own", run: func(*wire.Config, *probe) outcome {
				var name unix.Utsname
				err := unix.Uname(&name)
				return told("uname", name.Nodename[:], err)
			}},
		{id: "information.environment", ref: "environ(7)", proof: wire.BySecret, bare: true,
			how: "look for the launcher's secret in its own environment", good: "nothing is inherited", run: func(c *wire.Config, _ *probe) outcome {
				if o, ok := stolen(c, "its own environment", []byte(strings.Join(os.Environ(), "\n"))); ok {
					return o
				}
				return contained("%d variables, no secret", len(os.Environ()))
			}},
		{id: "information.hardware", ref: "Documentation/ABI/stable/sysfs-class-net, dmi-id", proof: wire.ByHost, bare: true, needs: []string{"value:information.hardware"},
			how: "read serial numbers, board identifiers and network addresses of the machine", good: "masked", run: hardware},
		{id: "information.kernel-log", ref: "syslog(2), dmesg_restrict", bare: true,
			how: "ask for the size of the kernel's log and open its devices", good: "refused", run: kernelLog},
		{id: "information.mounts", ref: "proc_pid_mountinfo(5)", bare: true,
			how: "read the host's device names and paths from the mount table", good: "only what must be there; the rest is noted", run: mounts},
		{id: "information.counters", ref: "proc(5), timing side channels", bare: true,
			how: "read counters of the whole machine", good: "masked or synthetic; what cannot be is noted", run: counters},
		{id: "information.uptime", ref: "time_namespaces(7)", proof: wire.ByClaim, bare: true,
			how: "read since when the machine runs", good: "a clock of its own; otherwise noted", run: func(*wire.Config, *probe) outcome {
				var since unix.Timespec
				err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since)
				if err != nil {
					return contained("%s", errnoName(err))
				}
				if up := time.Duration(since.Nano()); up > 10*time.Minute {
					return info("the clock says %s, longer than this run", up.Round(time.Minute))
				}
				return contained("the clock says less than ten minutes")
			}},
		{id: "information.inotify", ref: "inotify(7) on shared inodes", bare: true,
			how:  "watch files that the sandbox shares with the host: each run of a program outside is seen",
			good: "refused; where /usr is the host's it is noted", run: inotify},
		{id: "information.cgroup-path", ref: "cgroup_namespaces(7)", bare: true,
			how: "read where in the host's tree of cgroups it runs", good: "/ only; otherwise noted", run: cgroupPath},
	}
	for _, f := range []struct{ name, ref, path string }{
		{"machine-id", "machine-id(5)", "/etc/machine-id"},
		{"boot-id", "random(4)", "/proc/sys/kernel/random/boot_id"},
		{"kernel-command-line", "proc_cmdline(5)", "/proc/cmdline"},
		{"host-names", "hosts(5)", "/etc/hosts"},
		{"ssh-host-key", "sshd(8)", "/etc/ssh/ssh_host_ed25519_key.pub"},
	} {
		rows = append(rows, probe{id: "information." + f.name, ref: f.ref, proof: wire.ByHost, bare: true, needs: []string{"value:information." + f.name},
			how: "read " + f.path, good: "not there, or not the host's",
			run: func(*wire.Config, *probe) outcome {
				data, err := readSome(f.path)
				return told(f.path, data, err)
			}})
	}
	return rows
}

// told gives the judge a value to compare with the host's own.
func told(what string, data []byte, err error) outcome {
	if err != nil {
		return contained("%s: %s", what, errnoName(err))
	}
	o := contained("%s: %d bytes, which the judge compares", what, len(data))
	o.secret = strings.TrimSpace(strings.TrimRight(string(data[:min(len(data), 4096)]), "\x00"))
	return o
}

func hardware(*wire.Config, *probe) outcome {
	paths, _ := filepath.Glob("/sys/class/dmi/id/*_serial")
	more, _ := filepath.Glob("/sys/class/net/*/address")
	var values []string
	for _, path := range append(append(paths, more...), "/sys/class/dmi/id/product_uuid", "/proc/device-tree/serial-number", "/sys/class/dmi/id/product_name") {
		if data, err := readSome(path); err == nil {
			values = append(values, strings.TrimSpace(string(data)))
		}
	}
	return told("sysfs", []byte(strings.Join(values, "\n")), nil)
}

func kernelLog(*wire.Config, *probe) outcome {
	var d doors
	const sizeBuffer = 10
	_, err := unix.Klogctl(sizeBuffer, nil)
	d.tried("syslog", err)
	for _, path := range []string{"/dev/kmsg", "/proc/kmsg"} {
		d.tried(path, canOpen(path, unix.O_RDONLY))
	}
	d.tried("/dev/kmsg for writing", canOpen("/dev/kmsg", unix.O_WRONLY))
	return d.outcome()
}

func mounts(*wire.Config, *probe) outcome {
	data, err := readSome("/proc/self/mountinfo")
	if err != nil {
		return contained("%s", errnoName(err))
	}
	var d doors
	for line := range strings.Lines(string(data)) {
		left, right, _ := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) > 4 && len(r) > 1 && len(d.noted) < 12 && (strings.HasPrefix(r[1], "/dev/") || l[3] != "/") {
			d.note("%s of %s on %s", l[3], r[1], l[4])
		}
	}
	return d.outcome()
}

func counters(*wire.Config, *probe) outcome {
	var d doors
	for _, path := range []string{"/proc/stat", "/proc/loadavg", "/proc/vmstat", "/proc/diskstats", "/proc/interrupts", "/proc/softirqs", "/proc/schedstat",
		"/proc/slabinfo", "/proc/zoneinfo", "/proc/pressure/cpu", "/proc/timer_list", "/proc/sched_debug", "/proc/pagetypeinfo", "/proc/sys/fs/file-nr", "/proc/key-users"} {
		if data, err := readSome(path); err != nil {
			d.tried(path, err)
		} else if len(data) > 0 {
			d.note("%s", path)
		}
	}
	return d.outcome()
}

func inotify(*wire.Config, *probe) outcome {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	defer unix.Close(fd)
	var d doors
	for _, path := range []string{"/usr/bin", "/usr/lib", "/etc", "/etc/passwd", "/dev/null", "/var/log"} {
		if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN); err != nil {
			d.tried(path, err)
		} else {
			d.note("%s can be watched", path)
		}
	}
	return d.outcome()
}

func cgroupPath(*wire.Config, *probe) outcome {
	data, err := readSome("/proc/self/cgroup")
	if err != nil {
		return contained("%s", errnoName(err))
	}
	for line := range strings.Lines(string(data)) {
		if path := line[strings.LastIndex(line, ":")+1:]; strings.TrimSpace(path) != "/" {
			return info("%s", strings.TrimSpace(line))
		}
	}
	return contained("every path is /")
}
