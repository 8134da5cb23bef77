package main

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"nacre/test/vm/job"
)

const newRoot = "/newroot"

// boot is process 1 of the initial RAM file system.
func boot() error {
	for _, m := range [][2]string{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := mount(m[0], m[1], m[0], 0); err != nil {
			return err
		}
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	if err := mountDisk(job.DiskRoot, newRoot, 0); err != nil {
		return err
	}
	if err := mountDisk(job.DiskModules, newRoot+"/usr/lib/modules", unix.MS_RDONLY); err != nil {
		return err
	}
	if err := unpackPayload(); err != nil {
		return err
	}
	j, err := readJob(newRoot)
	if err != nil {
		return err
	}
	if j.Build {
		return build(j)
	}
	return switchRoot()
}

func mount(source, target, kind string, flags uintptr) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

func mountDisk(serial, target string, flags uintptr) error {
	dev, err := disk(serial)
	if err != nil {
		return err
	}
	return mount(dev, target, "ext4", flags)
}

// loadModules loads the modules of a folder in the order of their names.
func loadModules(dir string) error {
	files, err := filepath.Glob(dir + "/*.ko")
	if err != nil {
		return err
	}
	sort.Strings(files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := unix.InitModule(b, ""); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", f, err)
		}
	}
	return nil
}

// unpackPayload lays the payload disk, a tar stream, over the root.
func unpackPayload() error {
	dev, err := disk(job.DiskPayload)
	if err != nil {
		return err
	}
	f, err := os.Open(dev)
	if err != nil {
		return err
	}
	defer f.Close()
	r := tar.NewReader(bufio.NewReaderSize(f, 1<<20))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = unpack(h, r)
		}
		if err != nil {
			return fmt.Errorf("payload: %w", err)
		}
	}
}

func unpack(h *tar.Header, r io.Reader) error {
	path := filepath.Join(newRoot, h.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, h.FileInfo().Mode().Perm())
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, path)
	case tar.TypeReg:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, h.FileInfo().Mode().Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		return errors.Join(err, f.Close())
	default:
		return fmt.Errorf("%s: type %q is not carried", h.Name, h.Typeflag)
	}
}

// switchRoot makes the root disk / and becomes its init.
func switchRoot() error {
	for _, d := range []string{"/dev", "/proc", "/sys"} {
		if err := unix.Mount(d, newRoot+d, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", d, err)
		}
	}
	if err := enterRoot(); err != nil {
		return err
	}
	return unix.Exec("/sbin/init", []string{"/sbin/init"}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
}

func enterRoot() error {
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// build runs the steps of an image build with the root disk as /, where no
// systemd can run yet.
func build(j job.Job) error {
	out, err := openResults()
	if err != nil {
		return err
	}
	for _, d := range []string{"/dev", "/proc", "/sys"} {
		if err := unix.Mount(d, newRoot+d, "", unix.MS_MOVE, ""); err != nil {
			return err
		}
	}
	if err := enterRoot(); err != nil {
		return err
	}
	for _, s := range j.Steps {
		say("build: %s", s.Name)
		cmd := exec.Command("/bin/sh", "-c", s.Command)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"}
		start := time.Now()
		r := job.Result{Name: s.Name, User: s.User}
		r.Output, r.Exit = capture(cmd)
		r.Took = time.Since(start)
		if err := out.write(r); err != nil {
			return err
		}
	}
	unix.Sync()
	return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
}
