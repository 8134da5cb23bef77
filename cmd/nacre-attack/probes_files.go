package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func fileProbes() []probe {
	return []probe{
		{id: "descriptors.inherited", ref: "CVE-2024-21626", proof: wire.BySecret, bare: true,
			how:  "read every descriptor above 2 that the launcher left open, and walk out of every open folder",
			good: "no descriptor is inherited", run: inherited},
		{id: "descriptors.stdin-reopen", ref: "open(2), proc_pid_fd(5)", proof: wire.ByArrival, bare: true,
			how:  "reopen a read-only standard input for writing through /proc/self/fd/0, which follows the host's mount, not the sandbox's",
			good: "standard input is a pipe, or the host's file cannot be reopened for writing", run: stdinReopen},
		{id: "descriptors.cwd", ref: "CVE-2024-21626", proof: wire.BySecret, bare: true,
			how:  "read a secret relative to the working directory that the launcher had",
			good: "the working directory is one of the sandbox's own", run: inheritedCwd},
		{id: "descriptors.outside-secret", ref: "path_resolution(7)", proof: wire.BySecret, bare: true,
			how:  "open owner-only files outside every grant by their host paths",
			good: "the files do not exist inside, or cannot be read", run: outsideSecret},
		{id: "descriptors.dotdot", ref: "CWE-22", proof: wire.BySecret, bare: true,
			how:  "reach the same files with .. from the granted folder, by path and one openat at a time",
			good: "the walk ends at the sandbox's own root", run: dotdot},
		{id: "descriptors.symlink", ref: "CVE-2021-30465", proof: wire.BySecret, bare: true,
			how:  "follow links out of the granted folder: one that the owner had, one made here, one through /proc/self/root",
			good: "links resolve within the sandbox's own root", run: symlinks},
		{id: "descriptors.blocked-names", ref: "nacre: design, mount allow-list", proof: wire.BySecret, bare: true,
			how:  "read .env, .ssh/id_rsa and other secrets inside the granted folder, in any case and through /proc/self/root",
			good: "blocked names are masked wherever they lie", run: blockedNames},
		{id: "descriptors.blocked-rename", ref: "mount_namespaces(7)", proof: wire.BySecret, bare: true,
			how:  "move a blocked file's folder aside and read it where no mask lies",
			good: "the mask moves along, or the rename is refused", run: blockedRename},
		{id: wire.BlockedReplaced, ref: "rename(2), mount_namespaces(7)", proof: wire.BySecret, bare: true, alone: true,
			how:  "read a blocked file again and again while the outside renames a new one over it, as editors save: a mask falls off so",
			good: "the new one is masked too, or the sandbox is ended, within a second", run: blockedReplaced},
		{id: wire.BlockedMovedIn, ref: "rename(2), inotify(7)", proof: wire.BySecret, bare: true, alone: true,
			how:  "look for a blocked folder again and again while the outside moves in a folder that holds it",
			good: "what comes later is masked too, or the sandbox is ended, within a second", run: blockedMovedIn},
		{id: "descriptors.hardlink-existing", ref: "link(2)", proof: wire.BySecret, bare: true,
			how:  "read a blocked file through a hard link with a harmless name that the owner had",
			good: "the mask goes by what the file is, not only by its name", run: hardlinkExisting},
		{id: "descriptors.hardlink-new", ref: "linkat(2), protected_hardlinks", proof: wire.BySecret, bare: true,
			how:  "make a hard link to a blocked or outside file, by path and through /proc/self/fd, and read that",
			good: "no link can be made, or it is masked too", run: hardlinkNew},
		{id: "descriptors.exchange-race", ref: "CVE-2021-30465, renameat2(2)", proof: wire.BySecret, bare: true, timeout: bombTimeout,
			how:  "exchange a folder with a link to the outside 2,000 times while reading through it, and a blocked file with a plain one",
			good: "no moment shows the outside or an unmasked file", run: exchangeRace},
		{id: "descriptors.masked-path", ref: "CVE-2025-31133, CVE-2025-52565", bare: true,
			how:  "look whether /dev/null, /dev/console and the files that mask /proc are genuine devices and not links",
			good: "every one is the character device that it should be, and masked files are empty", run: maskedPath},
		{id: "descriptors.host-write", ref: "mount_namespaces(7)", proof: wire.ByArrival, bare: true,
			how:  "create a file in the host's temporary, home and shared-memory folders",
			good: "nothing appears on the host", run: hostWrite},
		{id: "descriptors.system-write", ref: "mount(2)", bare: true,
			how:  "ask whether programs and settings of the system could be written",
			good: "/usr, /etc and the like are read-only", run: systemWrite},
	}
}

// steal reads the first paths that open and look for a planted secret.
func steal(c *wire.Config, paths ...string) outcome {
	var d doors
	for _, path := range paths {
		data, err := readSome(path)
		if o, ok := stolen(c, path, data); ok {
			return o
		}
		if err != nil {
			d.tried(path, rootCause(err))
		} else {
			d.shut = append(d.shut, fmt.Sprintf("%s: read %d bytes, no secret", path, len(data)))
		}
	}
	return d.outcome()
}

// readSome reads at most 64 KiB and never blocks on a fifo.
func readSome(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buffer := make([]byte, 64<<10)
	total := 0
	for total < len(buffer) {
		n, err := unix.Read(fd, buffer[total:])
		if n <= 0 || err != nil {
			return buffer[:total], err
		}
		total += n
	}
	return buffer[:total], nil
}

func rootCause(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

func inherited(c *wire.Config, _ *probe) outcome {
	var found []string
	for fd := 3; fd < 1024; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		found = append(found, fmt.Sprint(fd))
		buffer := make([]byte, 4096)
		n, _ := unix.Pread(fd, buffer, 0)
		if o, ok := stolen(c, "descriptor "+fmt.Sprint(fd), buffer[:max(n, 0)]); ok {
			return o
		}
		for _, secret := range c.Secrets {
			if o := stealAt(c, fd, filepath.Base(secret)); o.secret != "" {
				return o
			}
		}
	}
	if len(found) > 0 {
		return info("descriptors were inherited, none of them a canary: %s", strings.Join(found, " "))
	}
	return contained("no descriptor above 2 is inherited")
}

func stealAt(c *wire.Config, dir int, name string) outcome {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return contained("%s: %s", name, errnoName(err))
	}
	defer unix.Close(fd)
	buffer := make([]byte, 4096)
	n, _ := unix.Read(fd, buffer)
	if o, ok := stolen(c, fmt.Sprintf("%s below descriptor %d", name, dir), buffer[:max(n, 0)]); ok {
		return o
	}
	return contained("%s: no secret in it", name)
}

func stdinReopen(c *wire.Config, p *probe) outcome {
	fd, err := unix.Open("/proc/self/fd/0", unix.O_WRONLY|unix.O_APPEND|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return contained("open for writing: %s", errnoName(err))
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, arrival(c, p))
	if err != nil {
		return contained("write: %s", errnoName(err))
	}
	return escaped("standard input took a write")
}

// arrival is the token whose appearance outside proves an escape.
func arrival(c *wire.Config, p *probe) []byte {
	return []byte(wire.ArrivalPrefix + c.Run + " " + p.id + "\n")
}

func inheritedCwd(c *wire.Config, _ *probe) outcome {
	var paths []string
	for _, secret := range c.Secrets {
		name := filepath.Base(secret)
		paths = append(paths, name, "../"+name, "/proc/self/cwd/"+name, "/proc/1/cwd/"+name)
	}
	return steal(c, paths...)
}

func outsideSecret(c *wire.Config, _ *probe) outcome { return steal(c, c.Secrets...) }

func dotdot(c *wire.Config, _ *probe) outcome {
	up := strings.Repeat("../", 40)
	var paths []string
	for _, secret := range c.Secrets {
		paths = append(paths, c.Folder+"/"+up+secret, "/proc/self/cwd/"+up+secret)
	}
	if o := steal(c, paths...); o.secret != "" {
		return o
	}
	dir, err := unix.Open(c.Folder, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return failed("the granted folder: %v", err)
	}
	for range 40 {
		for _, secret := range c.Secrets {
			for _, name := range []string{strings.TrimPrefix(secret, "/"), filepath.Base(secret)} {
				if o := stealAt(c, dir, name); o.secret != "" {
					return o
				}
			}
		}
		next, err := unix.Openat(dir, "..", unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return contained("the walk ends: %s", errnoName(err))
		}
		unix.Close(dir)
		dir = next
	}
	return contained("40 steps up, none of the files is there")
}

func symlinks(c *wire.Config, _ *probe) outcome {
	paths := []string{c.Folder + "/link-out", c.Folder + "/dir-out/owner.txt"}
	for i, secret := range c.Secrets {
		link := fmt.Sprintf("%s/.nacre-link-%d", c.Folder, i)
		if os.Symlink(secret, link) == nil {
			defer os.Remove(link)
			paths = append(paths, link)
		}
		paths = append(paths, "/proc/self/root"+secret, "/proc/self/task/self/root"+secret, "/proc/thread-self/root"+secret)
	}
	return steal(c, paths...)
}

func systemWrite(*wire.Config, *probe) outcome {
	var d doors
	for _, path := range []string{"/", "/usr", "/usr/bin", "/usr/lib", "/etc", "/etc/passwd", "/etc/ld.so.cache", "/boot", "/opt", "/var/lib"} {
		d.tried(path, unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS))
	}
	if len(d.open) > 0 {
		// A private overlay would look the same from inside.
		return info("writable, perhaps only a private copy: %s", strings.Join(d.open, "; "))
	}
	return d.outcome()
}
