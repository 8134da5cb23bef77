package attack

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// plantOutside writes secrets where no grant leads.
func (w *world) plantOutside() error {
	if err := os.Chmod(w.base, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(w.outside, 0o755); err != nil {
		return err
	}
	if err := w.writeSecret(w.outside, "outside"); err != nil {
		return err
	}
	places := w.options.Places
	if places == nil {
		places = []string{"/var/tmp"}
		if home, err := os.UserHomeDir(); err == nil {
			places = append(places, home)
		}
	}
	w.config.WritePlace = append([]string{w.outside, os.TempDir(), "/dev/shm"}, places...)
	if !w.options.Safe {
		w.config.WritePlace = append(w.config.WritePlace, "/etc", "/usr/local")
	}
	w.left.Places = places
	if err := w.remember(); err != nil {
		return err
	}
	for i, place := range places {
		dir := hiddenIn(place, w.config.Run)
		if os.Mkdir(dir, 0o755) != nil {
			continue // not a place of this user's
		}
		w.closers = append(w.closers, func() { os.RemoveAll(dir) })
		if err := w.writeSecret(dir, fmt.Sprintf("place-%d", i)); err != nil {
			return err
		}
	}
	return os.WriteFile(w.stdin, []byte("standard input\n"), 0o600)
}

func (w *world) writeSecret(dir, name string) error {
	path := filepath.Join(dir, "owner.txt")
	w.config.Secrets = append(w.config.Secrets, path)
	return os.WriteFile(path, []byte(w.secret(name)+"\n"), 0o600)
}

// plantFolder makes a project with secrets, settings and a repository.
func (w *world) plantFolder() error {
	plain := map[string]string{
		"README.md": "a project\n", "src/main.c": "int main(void) { return 0; }\n", "sub/data.txt": "data\n", "CLAUDE.md": "be kind\n",
		".git/config": "[core]\n\trepositoryformatversion = 0\n", ".git/HEAD": "ref: refs/heads/main\n", ".git/hooks/pre-commit": "#!/bin/sh\n",
		".git/objects/info/none": "", ".git/refs/heads/none": "", ".vscode/settings.json": "{}\n", ".claude/settings.json": "{}\n",
	}
	for _, name := range []string{".env", ".ssh/id_rsa", "sub/.env", "sub/deep/.aws/credentials", ".ENV", ".netrc"} {
		plain[name] = w.secret("blocked") + "\n"
	}
	for name, text := range plain {
		path := filepath.Join(w.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	w.originals = map[string]string{}
	for _, name := range []string{".git/config", ".git/hooks/pre-commit", ".vscode/settings.json", ".claude/settings.json", "CLAUDE.md"} {
		w.originals[name] = plain[name]
	}
	if err := os.Link(w.folder+"/.env", w.folder+"/notes.txt"); err != nil {
		return err
	}
	if err := os.Symlink(w.outside+"/owner.txt", w.folder+"/link-out"); err != nil {
		return err
	}
	return os.Symlink(w.outside, w.folder+"/dir-out")
}

// deliver copies the program into the granted folder.
func (w *world) deliver() error {
	return copyProgram(w.options.Program, filepath.Join(w.folder, deliveryFolder))
}

func copyProgram(from, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dir+"/nacre-attack", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// plantInherited opens what a careless launcher leaves open.
func (w *world) plantInherited() error {
	for _, path := range []string{w.outside + "/owner.txt", w.outside} {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		w.inherit = append(w.inherit, f)
		w.closers = append(w.closers, func() { f.Close() })
	}
	w.environment = append(w.environment, "NACRE_CANARY_SECRET="+w.secret("environment"))
	return nil
}

// removeBase removes all files of this run, the immutable ones too.
func (w *world) removeBase() {
	clearImmutable(w.folder + "/planted-immutable")
	if err := os.RemoveAll(w.base); err != nil {
		// Only now can this be seen; the folder's own name tells where to look.
		fmt.Fprintf(os.Stderr, "warning: %s could not be removed: %v\n", w.base, err)
	}
}

const immutableFlag = 0x10 // FS_IMMUTABLE_FL

func immutable(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	return err == nil && flags&immutableFlag != 0
}

func clearImmutable(path string) {
	if !immutable(path) {
		return
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, 0)
}

func anyExists(paths []string) bool {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}

// lacking tells whether a canary is missing because the machine has no such
// thing at all.
func lacking(err error) bool {
	errno, ok := rootErrno(err)
	return ok && (errno == syscall.ENOSYS || errno == syscall.EAFNOSUPPORT || errno == syscall.EADDRNOTAVAIL || errno == syscall.EPROTONOSUPPORT)
}
