package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

func plantProbes() []probe {
	folder := func(id, ref, how, good string, run func(string) []error) probe {
		return probe{id: "afterwards." + id, ref: ref, how: how, good: good, proof: wire.ByFolder, bare: true,
			run: func(c *wire.Config, _ *probe) outcome { return planted(run(c.Folder)) }}
	}
	return []probe{
		folder("setuid", "chmod(2), CVE-2021-4034 class", "leave setuid and setgid files by every call that can make one",
			"no such file lies in the folder", plantSetuid),
		folder("file-capabilities", "capabilities(7), xattr(7)", "leave a program with capabilities in its extended attributes",
			"no such file lies in the folder", plantCapabilities),
		folder("devices", "mknod(2)", "leave device nodes", "no device lies in the folder", plantDevices),
		folder("immutable", "ioctl_iflags(2)", "leave a file that its owner cannot delete", "no such file lies in the folder", plantImmutable),
		folder("git-hooks", "githooks(5), git-config(1) core.fsmonitor", "change the hooks and the configuration of an existing repository, also by moving it aside",
			"an existing .git keeps its hooks and configuration", plantGit),
		folder("settings", "CVE-2025-53773, editor tasks and agent instructions", "change existing settings of editors and agents",
			"they are read-only", plantSettings),
		folder("new-traps", "direnv(1), git-worktree(1), CI files", "leave .envrc, a nested repository with hooks, a CI file and instructions for the next agent",
			"allowed in a writable folder, and named by the report", plantTraps),
		folder("links-out", "symlink(7)", "leave links to the owner's files, and a link where a log file is expected",
			"allowed in a writable folder, and named by the report", plantLinks),
		folder("fifo", "fifo(7)", "leave a pipe on which a careless reader waits for ever",
			"allowed in a writable folder, and named by the report", plantFifo),
		folder("hostile-names", "CVE-2021-42574 class", "leave names with escape sequences, newlines, options and reversed text",
			"allowed in a writable folder, and named by the report", plantNames),
		folder("deep-tree", "PATH_MAX, nftw(3)", "leave 300 nested folders whose path is longer than PATH_MAX",
			"allowed in a writable folder, and named by the report", plantDepth),
	}
}

// planted only tells what was tried: the judge looks into the folder.
func planted(errs []error) outcome {
	refused, done := []string{}, 0
	for _, err := range errs {
		if err != nil {
			refused = append(refused, errnoName(rootCause(err)))
		} else {
			done++
		}
	}
	return contained("%d steps done, refused: %s", done, strings.Join(refused, " "))
}

func plantSetuid(folder string) []error {
	name := func(s string) string { return filepath.Join(folder, "planted-"+s) }
	os.WriteFile(name("chmod"), []byte("#!/bin/sh\n"), 0o755)
	os.WriteFile(name("fchmod"), []byte("#!/bin/sh\n"), 0o755)
	fd, err := unix.Open(name("fchmod"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	errs := []error{unix.Chmod(name("chmod"), 0o4755), err}
	if err == nil {
		errs = append(errs, unix.Fchmod(fd, 0o6755))
		unix.Close(fd)
	}
	fd, err = unix.Open(name("open"), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o4755)
	unix.Close(fd)
	const fchmodat2 = 452
	cwd := unix.AT_FDCWD
	os.WriteFile(name("fchmodat2"), nil, 0o755)
	_, err2 := call(fchmodat2, uintptr(cwd), pointer(name("fchmodat2")), 0o4755, 0)
	fd, err3 := unix.Openat2(unix.AT_FDCWD, name("openat2"), &unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CREAT | unix.O_CLOEXEC, Mode: 0o4755})
	unix.Close(fd)
	return append(errs, err, err2, err3, unix.Mknod(name("mknod"), unix.S_IFREG|0o4755, 0), unix.Mkdir(name("mkdir"), 0o2755))
}

func plantCapabilities(folder string) []error {
	name := filepath.Join(folder, "planted-capabilities")
	os.WriteFile(name, []byte("#!/bin/sh\n"), 0o755)
	const revision2Effective = 0x02000001
	value := binary.LittleEndian.AppendUint32(nil, revision2Effective)
	value = binary.LittleEndian.AppendUint32(value, 1<<unix.CAP_SYS_ADMIN)
	value = append(value, make([]byte, 12)...)
	return []error{unix.Setxattr(name, "security.capability", value, 0)}
}

func plantDevices(folder string) []error {
	var errs []error
	for i, mode := range []uint32{unix.S_IFCHR, unix.S_IFBLK} {
		errs = append(errs, unix.Mknod(fmt.Sprintf("%s/planted-device-%d", folder, i), mode|0o666, int(unix.Mkdev(1, 11))))
	}
	return errs
}

// immutableFlag is FS_IMMUTABLE_FL.
const immutableFlag = 0x10

func plantImmutable(folder string) []error {
	name := filepath.Join(folder, "planted-immutable")
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return []error{err}
	}
	defer unix.Close(fd)
	return []error{unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, immutableFlag)}
}

func plantGit(folder string) []error {
	git := filepath.Join(folder, ".git")
	errs := []error{appendTo(git + "/hooks/pre-commit"), appendTo(git + "/config"),
		os.WriteFile(git+"/hooks/post-checkout", []byte("#!/bin/sh\n"), 0o755)}
	moved := filepath.Join(folder, ".nacre-moved-git")
	if err := os.Rename(git, moved); err != nil {
		return append(errs, err)
	}
	errs = append(errs, appendTo(moved+"/hooks/pre-commit"), appendTo(moved+"/config"))
	return append(errs, os.Rename(moved, git))
}

func plantSettings(folder string) []error {
	return []error{appendTo(folder + "/.vscode/settings.json"), appendTo(folder + "/.claude/settings.json"), appendTo(folder + "/CLAUDE.md"),
		os.Rename(folder+"/.vscode", folder+"/.nacre-moved-vscode"), os.Rename(folder+"/.nacre-moved-vscode", folder+"/.vscode")}
}

func appendTo(name string) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("\n# planted by nacre-attack\n"))
	return err
}

func plantTraps(folder string) []error {
	var errs []error
	for _, name := range []string{".envrc", "vendor/lib/.git/hooks/post-checkout", ".github/workflows/planted.yml", "AGENTS.md", ".bashrc", "Makefile"} {
		path := filepath.Join(folder, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		errs = append(errs, os.WriteFile(path, []byte("# planted by nacre-attack\n"), 0o755))
	}
	return errs
}

func plantLinks(folder string) []error {
	return []error{os.Symlink("/etc/passwd", folder+"/planted-link"), os.Symlink("../../../../etc", folder+"/planted-dir-link"),
		os.Symlink("/proc/sys/kernel/hostname", folder+"/planted.log")}
}

func plantFifo(folder string) []error { return []error{unix.Mkfifo(folder+"/planted-fifo", 0o644)} }

func plantNames(folder string) []error {
	var errs []error
	for _, name := range []string{"planted-\x1b]0;title\x07", "planted-\n-newline", "-rf", "planted-\u202etxt.exe", "planted-\xff\xfe", "$(planted)"} {
		errs = append(errs, os.WriteFile(folder+"/"+name, nil, 0o644))
	}
	return errs
}

func plantDepth(folder string) []error {
	dir, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for i := 0; err == nil && i < 300; i++ {
		name := "planted-deep-" + strings.Repeat("d", 20)
		if err = unix.Mkdirat(dir, name, 0o755); err != nil {
			break
		}
		var next int
		next, err = unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(dir)
		dir = next
	}
	return []error{err}
}
