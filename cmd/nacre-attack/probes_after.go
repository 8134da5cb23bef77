package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func afterProbes() []probe {
	return []probe{
		{id: "afterwards.daemon", ref: "daemon(7), pid_namespaces(7)", proof: wire.ByProcess, alone: true, bare: true,
			how:  "leave a process in a session of its own that ignores every signal it can (it ends by itself after 30 seconds)",
			good: "it dies with the sandbox", run: daemon(false)},
		{id: "afterwards.daemon-holds-output", ref: "daemon(7)", proof: wire.ByProcess, alone: true, bare: true,
			how:  "the same, keeping standard output open, so that whoever waits for its end waits for ever",
			good: "it dies with the sandbox, and the run ends", run: daemon(true)},
		{id: "afterwards.daemon-from-memory", ref: "memfd_create(2), execveat(2)", proof: wire.ByProcess, alone: true, bare: true,
			how:  "the same from a program that is in no file system",
			good: "it cannot start, or dies with the sandbox", run: memoryDaemon},
		{id: "afterwards.terminal-escapes", ref: "OSC 52, DCS, DECRQSS; CVE-2003-0063", proof: wire.ByOutput, alone: true, tty: true, bare: true,
			how:  "print sequences that set the clipboard, the title, and make the terminal type an answer",
			good: "on a terminal they are dropped", run: terminalEscapes},
	}
}

func lingerer(c *wire.Config, p *probe, program string) *exec.Cmd {
	command := exec.Command(program, "--linger", c.Run+" "+p.id)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return command
}

func daemon(holdOutput bool) func(*wire.Config, *probe) outcome {
	return func(c *wire.Config, p *probe) outcome {
		command := lingerer(c, p, os.Args[0])
		if holdOutput {
			command.Stdout, command.Stderr = os.Stdout, os.Stderr
		}
		if err := command.Start(); err != nil {
			return contained("it did not start: %v", err)
		}
		return contained("left behind as %d; the judge looks outside", command.Process.Pid)
	}
}

func memoryDaemon(c *wire.Config, p *probe) outcome {
	fd, err := unix.MemfdCreate("nacre-attack", 0)
	if err != nil {
		return contained("memfd_create: %s", errnoName(err))
	}
	program, err := os.Open(os.Args[0])
	if err != nil {
		return failed("its own program: %v", err)
	}
	defer program.Close()
	memory := os.NewFile(uintptr(fd), "memory")
	if _, err := io.Copy(memory, program); err != nil {
		return contained("copy: %v", err)
	}
	command := lingerer(c, p, fmt.Sprintf("/proc/self/fd/%d", fd))
	if err := command.Start(); err != nil {
		// Its descriptor is open for writing here, which exec minds.
		read, err2 := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err2 != nil {
			return contained("it did not start: %v", err)
		}
		memory.Close()
		command = lingerer(c, p, fmt.Sprintf("/proc/self/fd/%d", read.Fd()))
		command.ExtraFiles = []*os.File{read}
		command.Path = "/proc/self/fd/3"
		if err := command.Start(); err != nil {
			return contained("it did not start: %v", err)
		}
	}
	return contained("left behind as %d; the judge looks outside", command.Process.Pid)
}

func terminalEscapes(c *wire.Config, p *probe) outcome {
	token := "nacre-escape-" + c.Run
	fmt.Fprintf(os.Stdout, "\x1b]52;c;%s\x07\x1bP$q%s\x1b\\\x1b]0;%s\x1b\\\x1b[21t\n", token, token, token)
	return contained("written; the judge looks at what came out")
}
