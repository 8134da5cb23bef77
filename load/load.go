// Package load opens the manifest and the policies, through descriptors: what
// was checked is what is read. It is the only I/O of the declaration side.
package load

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/fault"
	"nacre/fault/advice"
	"nacre/gateway/model"
	"nacre/manifest"
	"nacre/policy"
	"nacre/preset"
	"nacre/remedy"
	"nacre/skill/lock"
	"nacre/strict"
)

// Ceiling is where an administrator's policy lies.
const Ceiling = "/etc/nacre/policy.yaml"

// PolicyPath is where the owner's policy lies, given XDG_CONFIG_HOME and the
// home folder. A relative XDG_CONFIG_HOME is ignored, as its standard says.
func PolicyPath(xdgConfigHome, home string) string {
	if !filepath.IsAbs(xdgConfigHome) {
		xdgConfigHome = filepath.Join(home, ".config")
	}
	return filepath.Join(xdgConfigHome, "nacre", "policy.yaml")
}

// Source is a manifest with what a policy binds rules to.
type Source struct {
	Manifest *manifest.Manifest
	Path     string // the file's real path
	Digest   string // sha256:… of its bytes
}

// Manifest reads and parses a manifest.
func Manifest(path string) (Source, error) {
	data, real, err := File(path)
	if fault.KindOf(err) == fault.NotFound {
		err = advice.Or(err, "name the manifest that there is; nacre learn -- COMMAND writes one of what a program needs")
	}
	if err != nil {
		return Source{}, err
	}
	m, err := manifest.Parse(path, data)
	if err == nil {
		err = preset.Manifest(m)
	}
	if err != nil {
		return Source{}, advice.Or(remedy.Hint(err), "nacre schema agent describes each key of a manifest")
	}
	sum := sha256.Sum256(data)
	return Source{m, real, "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// File reads a regular file of at most 1 MiB, and says what its real path is.
func File(path string) (data []byte, real string, err error) {
	file, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", opening(path, err)
	}
	return read(path, file)
}

// Prices reads and parses the owner's list of what models cost, which only the
// owner (or root) may be able to change. Of a missing one there are none.
func Prices(path string, owner int) (model.Prices, error) {
	data, path, _, err := owned(path, owner)
	if err != nil || data == nil {
		return nil, err
	}
	return model.ParsePrices(path, data)
}

// Providers reads and parses the owner's own list of who runs models, which only the
// owner (or root) may be able to change. Of a missing one there are none.
func Providers(path string, owner int) (map[string]model.Provider, error) {
	data, path, _, err := owned(path, owner)
	if err != nil || data == nil {
		return nil, err
	}
	return model.ParseProviders(path, data)
}

// Lock reads and parses the owner's list of pinned skills, which only the owner
// (or root) may be able to change. A missing one has none.
func Lock(path string, owner int) (*lock.File, error) {
	data, path, _, err := owned(path, owner)
	if err != nil || data == nil {
		return &lock.File{Version: 1}, err
	}
	return lock.Parse(path, data)
}

// owned reads a file that nobody but its owner can change; nil: there is none. It
// returns the path as it was and as it is.
func owned(path string, owner int) (data []byte, absolute, real string, err error) {
	if absolute, err = filepath.Abs(path); err != nil {
		return nil, "", "", fault.Wrap(fault.Invalid, err, "%s", path)
	}
	if _, err := os.Lstat(absolute); errors.Is(err, os.ErrNotExist) {
		return nil, absolute, "", nil
	}
	file, err := walk(absolute, owner)
	if err != nil {
		return nil, "", "", err
	}
	data, real, err = read(absolute, file)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, absolute, real, err
}

// Policy reads and parses a policy, which only the owner (or root) may be able
// to change: by the file, by any folder above it, or from within a folder
// granted to an agent. A missing policy is nil, and allows nothing.
func Policy(path string, owner int, granted []string) (*policy.Policy, error) {
	data, path, real, err := owned(path, owner)
	if err != nil || data == nil {
		return nil, err
	}
	for _, folder := range granted {
		if policy.Within(folder, path) || policy.Within(folder, real) {
			return nil, fault.New(fault.Denied, "%s: the policy lies in the granted folder %s", path, folder).
				WithHint("move the policy out of it, or grant a narrower folder")
		}
	}
	p, err := policy.Parse(path, data)
	if err == nil {
		err = preset.Policy(p)
	}
	return p, advice.Or(remedy.Hint(err), "nacre schema policy describes each key of a policy; nacre policy init writes one to begin with")
}

// read reads a regular file that was opened O_PATH, and closes it. Nothing
// else is ever opened for reading: a fifo would block, a device might act.
func read(path string, file int) (data []byte, real string, err error) {
	defer unix.Close(file)
	var stat unix.Stat_t
	if err := unix.Fstat(file, &stat); err != nil {
		return nil, "", opening(path, err)
	}
	if kind := stat.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		return nil, "", fault.New(fault.Invalid, "%s: expected a file, found %s", path, kinds[kind]).
			WithHint("name the file itself; what comes out of something else has to be written into one first")
	}
	if stat.Size > strict.MaxBytes {
		return nil, "", strict.Invalid(nacre.Origin{File: path, Line: 1, Column: 1}, "the file is larger than 1 MiB").WithHint("see whether it is the right one: what a person writes takes a few KiB")
	}
	link := "/proc/self/fd/" + strconv.Itoa(file)
	if real, err = os.Readlink(link); err != nil {
		return nil, "", opening(path, err)
	}
	f, err := os.Open(link)
	if err != nil {
		return nil, "", opening(path, err)
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, strict.MaxBytes+1)) // it may grow meanwhile
	if err != nil {
		return nil, "", opening(path, err)
	}
	return data, real, nil
}

var kinds = map[uint32]string{unix.S_IFDIR: "a folder", unix.S_IFIFO: "a fifo", unix.S_IFCHR: "a device",
	unix.S_IFBLK: "a device", unix.S_IFSOCK: "a socket", unix.S_IFLNK: "a symbolic link"}

// opening makes a fault of an error of the operating system.
func opening(path string, err error) error {
	var inner *os.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return fault.New(fault.NotFound, "%s: there is no such file", path)
	case errors.Is(err, unix.ELOOP):
		return fault.New(fault.Invalid, "%s: symbolic links lead round in a circle", path).WithHint("ls -l shows where each leads; name the file itself")
	default:
		return fault.Wrap(fault.Invalid, err, "%s: cannot be read", path)
	}
}

// maxLinks is the kernel's own bound.
const maxLinks = 40

// walk opens an absolute path step by step, following symbolic links by hand,
// and refuses any step that somebody other than the owner and root could have
// changed.
func walk(path string, owner int) (int, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, opening(path, err)
	}
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			unix.Close(at)
			return -1, opening(path, err)
		}
		target, err := trusted(path, next, owner)
		switch {
		case err == nil && target == "":
			unix.Close(at)
			at = next
			continue
		case err == nil:
			if links++; links > maxLinks {
				err = opening(path, unix.ELOOP)
			}
		}
		unix.Close(next)
		if err == nil && strings.HasPrefix(target, "/") {
			unix.Close(at)
			at, err = unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		}
		if err != nil {
			unix.Close(at)
			return -1, err
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// trusted refuses what another could have changed, and reads a link's target.
func trusted(path string, file, owner int) (target string, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(file, &stat); err != nil {
		return "", opening(path, err)
	}
	kind := stat.Mode & unix.S_IFMT
	sticky := kind == unix.S_IFDIR && stat.Mode&unix.S_ISVTX != 0 // only owners rename there
	real, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(file))
	if stat.Uid != 0 && int(stat.Uid) != owner {
		return "", fault.New(fault.Denied, "%s: %s belongs to user %d, not to user %d or root", path, real, stat.Uid, owner).
			WithHint("a policy counts only where nobody else can change it")
	}
	if kind != unix.S_IFLNK {
		if stat.Mode&0o022 != 0 && !sticky {
			return "", fault.New(fault.Denied, "%s: %s can be written by others (mode %04o)", path, real, stat.Mode&0o7777).
				WithHint("chmod go-w %q", real)
		}
		return "", nil
	}
	buffer := make([]byte, 4096)
	n, err := unix.Readlinkat(file, "", buffer)
	if err != nil || n == 0 || n == len(buffer) {
		return "", fault.Wrap(fault.Invalid, err, "%s: a symbolic link cannot be read", path)
	}
	return string(buffer[:n]), nil
}
