package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

// blockedFiles are the canaries with blocked names, below the granted folder.
var blockedFiles = [...]string{".env", ".ssh/id_rsa", "sub/.env", "sub/deep/.aws/credentials", ".ENV", ".netrc"}

func blockedNames(c *wire.Config, _ *probe) outcome {
	var paths []string
	for _, name := range blockedFiles {
		paths = append(paths, c.Folder+"/"+name, "/proc/self/root"+c.Folder+"/"+name)
	}
	paths = append(paths, c.Folder+"/sub/../.env", c.Folder+"//.ssh/./id_rsa")
	return steal(c, paths...)
}

func blockedRename(c *wire.Config, _ *probe) outcome {
	moves := [][3]string{
		{".ssh", ".nacre-moved-ssh", "id_rsa"},
		{"sub", ".nacre-moved-sub", ".env"},
		{"sub/deep", ".nacre-moved-deep", ".aws/credentials"},
		{".env", ".nacre-moved-env", ""},
	}
	var notes []string
	for _, m := range moves {
		from, to := filepath.Join(c.Folder, m[0]), filepath.Join(c.Folder, m[1])
		if err := os.Rename(from, to); err != nil {
			notes = append(notes, fmt.Sprintf("rename %s: %s", m[0], errnoName(rootCause(err))))
			continue
		}
		data, err := readSome(filepath.Join(to, m[2]))
		o, found := stolen(c, m[0]+" moved to "+m[1], data)
		os.Rename(to, from)
		if found {
			return o
		}
		notes = append(notes, fmt.Sprintf("renamed %s, its secret stays unreadable (%v)", m[0], err))
	}
	return contained("%s", strings.Join(notes, "; "))
}

func hardlinkExisting(c *wire.Config, _ *probe) outcome { return steal(c, c.Folder+"/notes.txt") }

func hardlinkNew(c *wire.Config, _ *probe) outcome {
	var notes []string
	targets := append([]string{c.Folder + "/.env", c.Folder + "/.ssh/id_rsa"}, c.Secrets...)
	for i, target := range targets {
		link := fmt.Sprintf("%s/.nacre-hard-%d", c.Folder, i)
		err := os.Link(target, link)
		if err != nil {
			err = linkByDescriptor(target, link)
		}
		if err != nil {
			notes = append(notes, target+": "+errnoName(rootCause(err)))
			continue
		}
		data, _ := readSome(link)
		os.Remove(link)
		if o, ok := stolen(c, "hard link to "+target, data); ok {
			return o
		}
		notes = append(notes, target+": linked, but no secret")
	}
	return contained("%s", strings.Join(notes, "; "))
}

func linkByDescriptor(target, link string) error {
	fd, err := unix.Open(target, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, link, unix.AT_SYMLINK_FOLLOW)
}

func exchangeRace(c *wire.Config, _ *probe) outcome {
	dir, link := c.Folder+"/.nacre-swap", c.Folder+"/.nacre-swap-link"
	outside := filepath.Dir(c.Secrets[0])
	if os.Mkdir(dir, 0o755) != nil || os.Symlink(outside, link) != nil {
		return contained("the granted folder cannot be changed")
	}
	plain := c.Folder + "/.nacre-plain"
	os.WriteFile(plain, []byte("plain"), 0o600)
	defer func() { os.Remove(dir); os.Remove(link); os.Remove(dir); os.Remove(plain) }()
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() { done <- exchange(dir, link, plain, c.Folder+"/.env", &stop) }()
	var o outcome
	found := false
	for i := 0; i < 2000 && !found; i++ {
		for _, path := range []string{dir + "/" + filepath.Base(c.Secrets[0]), plain, c.Folder + "/.env"} {
			data, _ := readSome(path)
			if o, found = stolen(c, "during an exchange: "+path, data); found {
				break
			}
		}
	}
	stop.Store(true)
	err := <-done
	if found {
		return o
	}
	return contained("2,000 reads during exchanges, no secret (exchanging the blocked file: %v)", err)
}

// exchange swaps until it is told to stop, and leaves each pair as it was.
func exchange(dir, link, plain, blocked string, stop *atomic.Bool) error {
	swap := func(a, b string) error {
		return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	}
	var blockedErr error
	for !stop.Load() {
		for range 2 {
			swap(dir, link)
			if blockedErr == nil {
				blockedErr = swap(plain, blocked)
			}
		}
	}
	return blockedErr
}

func blockedReplaced(c *wire.Config, _ *probe) outcome { return lookOn(c, c.Folder+"/.netrc") }

func blockedMovedIn(c *wire.Config, _ *probe) outcome {
	return lookOn(c, c.Folder+"/"+wire.MovedIn+"/deep/.aws/credentials")
}

// How long a file is looked at, and how long it may be readable without being an
// escape: what appears later is detected, not prevented.
const (
	lookingOn   = 3 * time.Second
	maxReadable = time.Second
)

// lookOn reads a file again and again while the outside changes it.
func lookOn(c *wire.Config, file string) outcome {
	var first, last time.Time
	for end := time.Now().Add(lookingOn); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		data, _ := readSome(file)
		o, ok := stolen(c, file, data)
		if !ok {
			continue
		}
		if last = time.Now(); first.IsZero() {
			first = last
		}
		if last.Sub(first) > maxReadable {
			return o
		}
	}
	if first.IsZero() {
		return contained("what appeared was never readable")
	}
	return info("what appeared was readable for %v, then no more", last.Sub(first).Round(10*time.Microsecond))
}

func maskedPath(*wire.Config, *probe) outcome {
	var d doors
	for path, want := range map[string]uint64{"/dev/null": unix.Mkdev(1, 3), "/dev/zero": unix.Mkdev(1, 5),
		"/dev/full": unix.Mkdev(1, 7), "/dev/random": unix.Mkdev(1, 8), "/dev/urandom": unix.Mkdev(1, 9), "/dev/tty": unix.Mkdev(5, 0)} {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			d.shut = append(d.shut, path+": "+errnoName(err))
		} else if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != want {
			d.open = append(d.open, fmt.Sprintf("%s is not its device: mode %o, device %x", path, st.Mode, st.Rdev))
		}
	}
	if target, err := os.Readlink("/dev/console"); err == nil {
		d.open = append(d.open, "/dev/console is a link to "+target)
	}
	if unix.Faccessat(unix.AT_FDCWD, "/dev", unix.W_OK, unix.AT_EACCESS) == nil {
		d.note("/dev can be written, so its devices could be replaced by links before a runtime's next step")
	}
	for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats"} {
		if data, err := readSome(path); err == nil && len(data) > 0 {
			d.note("%s has content", path)
		}
	}
	return d.outcome()
}

func hostWrite(c *wire.Config, p *probe) outcome {
	var d doors
	for _, dir := range c.WritePlace {
		err := os.WriteFile(filepath.Join(dir, "nacre-attack-"+c.Run), arrival(c, p), fs.FileMode(0o600))
		if err != nil {
			err = rootCause(err)
		}
		d.tried(dir, err)
	}
	return d.outcome()
}
