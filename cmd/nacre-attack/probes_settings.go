package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// settingFile is a file whose writing commands the host. It is opened for
// writing and closed again; nothing is written.
type settingFile struct{ id, ref, paths string }

func settingProbes() []probe {
	files := []settingFile{
		{"kernel.core-pattern", "core(5), CVE-2025-52881", "/proc/sys/kernel/core_pattern"},
		{"kernel.modprobe-path", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/modprobe"},
		{"kernel.uevent-helper", "Documentation/ABI/testing/sysfs-uevent", "/sys/kernel/uevent_helper"},
		{"kernel.sysrq", "Documentation/admin-guide/sysrq.rst", "/proc/sysrq-trigger|/proc/sys/kernel/sysrq"},
		{"kernel.binfmt-misc", "Documentation/admin-guide/binfmt-misc.rst", "/proc/sys/fs/binfmt_misc/register"},
		{"kernel.panic-settings", "proc_sys_vm(5)", "/proc/sys/vm/panic_on_oom|/proc/sys/kernel/panic|/proc/sys/kernel/panic_on_oops|/proc/sys/vm/drop_caches|/proc/sys/vm/overcommit_memory"},
		{"kernel.debugfs", "debugfs, tracefs", "/sys/kernel/debug/tracing/trace_marker|/sys/kernel/tracing/trace_marker|/sys/kernel/debug/sched/features"},
		{"kernel.security-files", "LSM interfaces", "/sys/kernel/security/apparmor/.load|/sys/fs/selinux/load|/sys/module/kernel/parameters/panic"},
	}
	rows := []probe{
		{id: "kernel.release-agent", ref: "CVE-2022-0492", bare: true, proof: wire.BySetting,
			how: "open release_agent, notify_on_release and cgroup.procs of every cgroup for writing", good: "not there, or refused", run: cgroupFiles},
		{id: "kernel.sysctl", ref: "proc_sys(5)", bare: true, proof: wire.BySetting,
			how: "open every file below /proc/sys for writing", good: "refused; those that belong to the sandbox's own namespaces are only noted", run: sysctls},
		{id: "kernel.self-tuning", ref: "proc_pid_oom_score_adj(5), proc_pid_clear_refs(5)", bare: true,
			how: "open its own oom_score_adj and loginuid, to be spared at the cost of others or to be somebody else", good: "refused; only lowering would be a gain", run: selfTuning},
	}
	for _, f := range files {
		rows = append(rows, probe{id: f.id, ref: f.ref, bare: true, needs: []string{"path:" + f.paths}, proof: wire.BySetting,
			how:  "open " + strings.ReplaceAll(f.paths, "|", ", ") + " for writing",
			good: "not there, or refused",
			run: func(*wire.Config, *probe) outcome {
				var d doors
				for path := range strings.SplitSeq(f.paths, "|") {
					d.tried(path, canOpen(path, unix.O_WRONLY))
				}
				return d.outcome()
			}})
	}
	return rows
}

func cgroupFiles(*wire.Config, *probe) outcome {
	var d doors
	seen := 0
	filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if seen++; err != nil || seen > 4000 {
			return nil
		}
		switch e.Name() {
		case "release_agent", "notify_on_release", "cgroup.procs", "devices.allow", "cgroup.subtree_control":
			if err := canOpen(path, unix.O_WRONLY); err == nil && len(d.open) < 5 {
				d.tried(path, err)
			} else if err != nil && len(d.shut) < 5 {
				d.tried(path, err)
			}
		}
		return nil
	})
	return d.outcome()
}

// ownNamespace names the settings that belong to a namespace, and that a
// sandbox with a namespace of its own may change for itself.
func ownNamespace(path string) bool {
	for _, prefix := range []string{"net/", "user/", "fs/mqueue/", "kernel/shm", "kernel/msg", "kernel/sem", "kernel/hostname", "kernel/domainname", "kernel/auto_msgmni", "kernel/pid_max", "kernel/ns_last_pid"} {
		if strings.HasPrefix(path, "/proc/sys/"+prefix) {
			return true
		}
	}
	return false
}

func sysctls(*wire.Config, *probe) outcome {
	var d doors
	var own []string
	shut := 0
	filepath.WalkDir("/proc/sys", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil || e.IsDir():
		case canOpen(path, unix.O_WRONLY) != nil:
			shut++
		case ownNamespace(path):
			own = append(own, path)
		default:
			d.open = append(d.open, path)
		}
		return nil
	})
	if len(d.open) > 0 {
		return escaped("%d can be written: %s", len(d.open), strings.Join(d.open[:min(len(d.open), 8)], " "))
	}
	if len(own) > 0 {
		return info("%d settings of its own namespaces can be written: %s", len(own), strings.Join(own[:min(len(own), 5)], " "))
	}
	return contained("none of %d can be written", shut)
}

func selfTuning(*wire.Config, *probe) outcome {
	var d doors
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		// Below the present minimum needs CAP_SYS_RESOURCE.
		_, err = unix.Write(fd, []byte("-1000"))
		unix.Close(fd)
	}
	d.tried("oom_score_adj -1000", err)
	d.tried("nice -20", unix.Setpriority(unix.PRIO_PROCESS, 0, -20))
	param := int32(1)
	const fifo = 1
	_, err = call(unix.SYS_SCHED_SETSCHEDULER, 0, fifo, uintptr(unsafe.Pointer(&param)))
	d.tried("real-time scheduling", err)
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	for what, resource := range map[string]int{"NPROC": unix.RLIMIT_NPROC, "CORE": unix.RLIMIT_CORE, "NOFILE": unix.RLIMIT_NOFILE} {
		var have unix.Rlimit
		if unix.Getrlimit(resource, &have) == nil && have.Max == unix.RLIM_INFINITY {
			d.shut = append(d.shut, fmt.Sprintf("RLIMIT_%s has no hard limit to raise", what))
			continue
		}
		d.tried("raise RLIMIT_"+what, unix.Prlimit(0, resource, &limit, nil))
	}
	return d.outcome()
}
