package layer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"nacre/fault"
)

// walk visits what lies below a folder, in the order of names; anything but files
// and folders is refused.
func walk(root *os.Root, folder string, visit func(name string, info fs.FileInfo) error) error {
	return fs.WalkDir(root.FS(), folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return fault.New(fault.Tampered, "%s is neither a file nor a folder", name)
		}
		return visit(name[len(folder):], info)
	})
}

// tree is the digest of names, contents and which files are executable.
func tree(root *os.Root, folder string) (digest string, files int, bytes int64, err error) {
	all := sha256.New()
	err = walk(root, folder, func(name string, info fs.FileInfo) error {
		fmt.Fprintf(all, "%q %t %t\n", name, info.IsDir(), info.Mode()&0o111 != 0)
		if info.IsDir() {
			return nil
		}
		f, err := root.Open(folder + name)
		if err != nil {
			return err
		}
		defer f.Close()
		one := sha256.New()
		n, err := io.Copy(one, f)
		files, bytes = files+1, bytes+n
		fmt.Fprintf(all, "%x\n", one.Sum(nil))
		return err
	})
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), files, bytes, err
}

// stamp changes whenever a file is written, replaced or renamed: no program can
// set the time of the last change (ctime) back.
func stamp(root *os.Root, folder string) (string, error) {
	all := sha256.New()
	err := walk(root, folder, func(name string, info fs.FileInfo) error {
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(all, "%q %o %d %d %d %d\n", name, st.Mode, st.Size, st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
		return nil
	})
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), err
}
