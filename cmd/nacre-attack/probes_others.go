package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func otherProbes() []probe {
	return []probe{
		{id: "others.signal", ref: "kill(2), pidfd_send_signal(2)", proof: wire.ByArrival, bare: true, needs: []string{"canary:victim"},
			how:  "send SIGCONT, which harms nobody that runs, to a host process by its pid there",
			good: "no such process", run: signalVictim},
		{id: "others.signal-all", ref: "kill(2) with -1", proof: wire.ByArrival, needs: []string{"canary:victim"},
			how:  "send SIGWINCH to everything that may be signalled",
			good: "only the sandbox's own processes get it", run: signalAll},
		{id: "others.ptrace", ref: "ptrace(2) PTRACE_SEIZE", bare: true,
			how:  "attach to pid 1 and to the host's canary process, and let go at once",
			good: "refused", run: ptraceOthers},
		{id: "others.process-vm", ref: "process_vm_readv(2)", proof: wire.BySecret, bare: true, needs: []string{"canary:victim"},
			how:  "read a secret from the memory of a host process at an address that it told the judge",
			good: "refused, or no such process", run: processVM},
		{id: "others.process-vm-init", ref: "process_vm_readv(2)", bare: true,
			how:  "ask to read pid 1 at an address that is not mapped",
			good: "the permission is refused before the address is looked at", run: processVMInit},
		{id: "others.pidfd-getfd", ref: "pidfd_getfd(2)", bare: true,
			how:  "take descriptors from pid 1 and from a host process",
			good: "refused", run: pidfdGetfd},
		{id: "others.limits", ref: "prlimit(2), setpriority(2)", bare: true,
			how:  "read resource limits and set the same priority on pid 1 and on a host process",
			good: "refused; for the sandbox's own pid 1 it is noted", run: limitsOfOthers},
		{id: "others.abstract-socket", ref: "unix(7), Landlock scoping", proof: wire.ByArrival, bare: true, needs: []string{"canary:abstract"},
			how: "talk to an abstract Unix socket of the host", good: "no such socket", run: func(c *wire.Config, p *probe) outcome {
				return send(c, p, "unix", "@"+c.Abstract)
			}},
		{id: "others.pathname-socket", ref: "unix(7), landlock(7)", proof: wire.ByArrival, bare: true, needs: []string{"canary:pathname"},
			how: "talk to a Unix socket of the host by its path, also through /proc/1/root", good: "no such path", run: func(c *wire.Config, p *probe) outcome {
				return send(c, p, "unix", c.Pathname, "/proc/1/root"+c.Pathname)
			}},
		{id: "others.granted-socket", ref: "nacre: design, blocked names", proof: wire.ByArrival, bare: true, needs: []string{"canary:granted"},
			how: "talk to a docker.sock that lies in the granted folder", good: "its name is blocked", run: func(c *wire.Config, p *probe) outcome {
				return send(c, p, "unix", c.Granted)
			}},
		{id: "others.agent-sockets", ref: "ssh-agent(1), dbus-daemon(1)", proof: wire.ByArrival, bare: true, needs: []string{"canary:pathname"},
			how: "talk to the socket that SSH_AUTH_SOCK or GPG_AGENT_INFO names", good: "the variables are gone, or lead nowhere", run: agentSockets},
		{id: "others.control-sockets", ref: "docker.sock, D-Bus, systemd, X11, Wayland", bare: true,
			needs: []string{"path:" + strings.Join(controlSockets[:], "|")},
			how:   "connect, and say nothing, to the sockets by which a machine is commanded", good: "not there, or refused", run: controlSocketsOpen},
		{id: "others.sibling", ref: "namespaces(7)", proof: wire.BySecret, needs: []string{"canary:sibling"},
			how:  "reach another sandbox of the same kind by loopback TCP, abstract socket and /tmp",
			good: "another sandbox is as far away as the host", run: reachSibling},
	}
}

// controlSockets are the well-known ones.
var controlSockets = [...]string{"/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
	"/run/crio/crio.sock", "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/run/systemd/journal/socket",
	"/run/snapd.socket", "/dev/log", "/run/user/0/bus", "/run/user/1000/bus", "/run/user/1000/wayland-0", "/run/user/1000/gnupg/S.gpg-agent",
	"/run/user/1000/keyring/ssh", "/run/user/1000/podman/podman.sock", "/tmp/.X11-unix/X0", "/run/udev/control", "/run/lvm/lvmpolld.socket"}

func controlSocketsOpen(*wire.Config, *probe) outcome {
	var d doors
	x11, _ := filepath.Glob("/tmp/.X11-unix/X*")
	paths := append(controlSockets[:], x11...)
	for _, name := range []string{"DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "CONTAINER_HOST"} {
		value, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(os.Getenv(name), "unix:path="), "unix://"), ",")
		if strings.HasPrefix(value, "/") {
			paths = append(paths, value)
		}
	}
	for _, path := range paths {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			err := connectUnix(kind, path)
			if err == unix.ENOENT || err == unix.EPROTOTYPE {
				continue
			}
			d.tried(path, err)
		}
	}
	return d.outcome()
}

func connectUnix(kind int, path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// send delivers the arrival token to the first address that takes it.
func send(c *wire.Config, p *probe, network string, addresses ...string) outcome {
	var d doors
	for _, address := range addresses {
		err := sendOne(network, address, arrival(c, p))
		d.tried(network+" "+address, err)
	}
	return d.outcome()
}

func sendOne(network, address string, token []byte) error {
	conn, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return rootCause(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write(token); err != nil {
		return rootCause(err)
	}
	// The canary answers one byte. Without an answer nobody was there.
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("sent, no answer")
	}
	return nil
}

func agentSockets(c *wire.Config, p *probe) outcome {
	var d doors
	for _, name := range []string{"SSH_AUTH_SOCK", "GPG_AGENT_INFO"} {
		value := os.Getenv(name)
		if value == "" {
			d.shut = append(d.shut, name+" is not set")
			continue
		}
		d.tried(name, sendOne("unix", value, arrival(c, p)))
	}
	return d.outcome()
}

// visible tells whether the pid is that of the host's canary process.
func visible(c *wire.Config) bool {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Victim))
	return strings.Contains(string(data), "--victim")
}

func signalVictim(c *wire.Config, _ *probe) outcome {
	var d doors
	d.tried(fmt.Sprintf("kill %d", c.Victim), unix.Kill(c.Victim, unix.SIGCONT))
	if fd, err := unix.PidfdOpen(c.Victim, 0); err == nil {
		d.tried("pidfd_send_signal", unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0))
		unix.Close(fd)
	} else {
		d.tried("pidfd_open", err)
	}
	return d.outcome()
}

func signalAll(*wire.Config, *probe) outcome {
	var d doors
	d.tried("kill -1", unix.Kill(-1, unix.SIGWINCH))
	return d.outcome()
}

func ptraceOthers(c *wire.Config, _ *probe) outcome {
	var d doors
	for _, pid := range []int{1, c.Victim} {
		err := unix.PtraceSeize(pid)
		d.tried(fmt.Sprintf("seize %d", pid), err)
		if err == nil {
			unix.PtraceDetach(pid)
		}
	}
	return d.outcome()
}

func processVM(c *wire.Config, _ *probe) outcome {
	buffer := make([]byte, c.VictimLength)
	if len(buffer) == 0 {
		return failed("the config names no memory")
	}
	local := []unix.Iovec{{Base: &buffer[0], Len: uint64(len(buffer))}}
	remote := []unix.RemoteIovec{{Base: uintptr(c.VictimAddress), Len: len(buffer)}}
	n, err := unix.ProcessVMReadv(c.Victim, local, remote, 0)
	if err != nil {
		return contained("%s", errnoName(err))
	}
	if o, ok := stolen(c, "the memory of a host process", buffer[:n]); ok {
		return o
	}
	return contained("%d bytes of a process that is not the canary", n)
}

func processVMInit(*wire.Config, *probe) outcome {
	var d doors
	buffer := make([]byte, 1)
	_, err := unix.ProcessVMReadv(1, []unix.Iovec{{Base: &buffer[0], Len: 1}}, []unix.RemoteIovec{{Base: 16, Len: 1}}, 0)
	d.tried("pid 1", err, unix.EFAULT)
	return d.outcome()
}

func pidfdGetfd(c *wire.Config, _ *probe) outcome {
	var d doors
	for _, pid := range []int{1, c.Victim} {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			d.tried(fmt.Sprintf("pidfd_open %d", pid), err)
			continue
		}
		for target := range 3 {
			got, err := unix.PidfdGetfd(fd, target, 0)
			d.tried(fmt.Sprintf("descriptor %d of %d", target, pid), err, unix.EBADF)
			if err == nil {
				unix.Close(got)
			}
		}
		unix.Close(fd)
	}
	return d.outcome()
}

func limitsOfOthers(c *wire.Config, _ *probe) outcome {
	var d doors
	for _, pid := range []int{1, c.Victim} {
		var have unix.Rlimit
		err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &have)
		if err == nil && !visible(c) {
			d.note("the limits of the sandbox's own pid %d can be read, and so lowered", pid)
			continue
		}
		d.tried(fmt.Sprintf("prlimit %d", pid), err)
		if nice, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err == nil {
			d.tried(fmt.Sprintf("setpriority %d", pid), unix.Setpriority(unix.PRIO_PROCESS, pid, 20-nice))
		}
	}
	return d.outcome()
}
