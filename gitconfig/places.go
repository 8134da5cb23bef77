package gitconfig

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// ofUser is a path below the home of a user who is named: ~name/rest.
func ofUser(name string) []string {
	who, rest, _ := strings.Cut(name[1:], "/")
	u, err := user.Lookup(who)
	if err != nil {
		return nil
	}
	return []string{path.Join(u.HomeDir, rest)}
}

// homes are ours, and that of the folder's owner, who is another where we are root.
func homes(folder string) (list []string) {
	home, err := os.UserHomeDir()
	if err == nil && path.IsAbs(home) {
		list = append(list, path.Clean(home))
	}
	var st unix.Stat_t
	if unix.Stat(folder, &st) == nil && int(st.Uid) != os.Geteuid() {
		if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil && path.IsAbs(u.HomeDir) {
			list = append(list, path.Clean(u.HomeDir))
		}
	}
	return list
}

// global lists the files that git reads wherever it runs.
func global(home string) []string {
	list := []string{"/etc/gitconfig", path.Join(home, ".config/git/config"), path.Join(home, ".gitconfig")}
	for _, of := range [][2]string{{"XDG_CONFIG_HOME", "/git/config"}, {"GIT_CONFIG_SYSTEM", ""}, {"GIT_CONFIG_GLOBAL", ""}} {
		if set := os.Getenv(of[0]); path.IsAbs(set) {
			list = append(list, set+of[1])
		}
	}
	return list
}

// spot is where a path leads.
type spot struct {
	path    string
	missing bool
	mode    fs.FileMode
	link    string // the first link in the folder that was followed, with its path
	steps   int    // what was looked up to get there
}

// follow walks an absolute path as the kernel would, and notes where a link in the folder
// decides. A path that leads round in circles leads nowhere, nor does one that is too long
// for the kernel.
func follow(name, folder string) (s spot, ok bool) {
	if len(name) >= unix.PathMax {
		return s, false
	}
	rest := strings.Split(name, "/")
	s = spot{path: "/", mode: fs.ModeDir}
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			s.path = path.Dir(s.path)
			continue
		}
		next := path.Join(s.path, part)
		info, err := os.Lstat(next)
		s.steps++
		switch {
		case err != nil:
			s.path, s.missing = path.Join(append([]string{next}, rest...)...), true
			return s, errors.Is(err, fs.ErrNotExist) || s.link != ""
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(next)
			if rel, inside := within(next, folder); inside && s.link == "" {
				s.link = rel
			}
			if links++; err != nil || links > maxLinks {
				s.missing = true
				return s, s.link != ""
			}
			if path.IsAbs(target) {
				s.path = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
		default:
			s.path, s.mode = next, info.Mode()
		}
	}
	return s, true
}

// repositoryAt tells whether a folder is a work tree or a git folder.
func repositoryAt(folder string) bool {
	_, tree := os.Lstat(path.Join(folder, ".git"))
	_, bare := os.Lstat(path.Join(folder, "HEAD"))
	return tree == nil || bare == nil
}

// within tells whether a path is a folder's or below it, and its place there.
func within(name, folder string) (rel string, ok bool) {
	if name == folder {
		return ".", true
	}
	return strings.CutPrefix(name, strings.TrimSuffix(folder, "/")+"/")
}

// errLarge is of a configuration that is over the bounds.
var errLarge = errors.New("git's configuration is larger than can be looked at")

// read is a regular file's text. What is not there, not ours to read, or the kernel's has
// none.
func read(name string) (string, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &how)
	if err != nil {
		return "", nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	var on unix.Statfs_t
	if unix.Fstat(fd, &st) != nil || unix.Fstatfs(fd, &on) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size == 0 ||
		on.Type == unix.PROC_SUPER_MAGIC || on.Type == unix.SYSFS_MAGIC {
		return "", nil
	}
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", nil
	case len(text) > maxFile:
		return "", fault.Wrap(fault.Exhausted, errLarge, "%s has over %d bytes", name, maxFile)
	}
	return string(text), nil
}
