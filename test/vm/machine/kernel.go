package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"nacre/fault"
)

// drivers are the modules without which the kernel finds no disk, in the
// order in which they can be loaded. One that is built in is simply not there.
var drivers = []string{
	"kernel/drivers/virtio/virtio.ko", "kernel/drivers/virtio/virtio_ring.ko",
	"kernel/drivers/virtio/virtio_pci_modern_dev.ko", "kernel/drivers/virtio/virtio_pci_legacy_dev.ko",
	"kernel/drivers/virtio/virtio_pci.ko", "kernel/drivers/block/virtio_blk.ko",
}

// makeKernel fills dir with a distribution's kernel: vmlinuz, its drivers in
// modules/, and modules.img, the disk with all its modules.
func (s Spec) makeKernel(ctx context.Context, dir string) error {
	if err := s.need(ctx, buildPrograms); err != nil {
		return err
	}
	work := filepath.Join(dir, "work")
	a, err := newApt(ctx, filepath.Join(work, "apt"), s.Arch, s.Kernel)
	if err != nil {
		return err
	}
	pkg, err := a.kernelPackage(ctx)
	if err != nil {
		return err
	}
	s.say("fetching %s", pkg)
	if _, err := a.run(ctx, "apt-get", "download", "-q", pkg); err != nil {
		return err
	}
	debs, err := filepath.Glob(a.dir + "/*.deb")
	if err != nil || len(debs) != 1 {
		return fault.New(fault.Internal, "apt left %d packages, want one", len(debs))
	}
	tree := filepath.Join(work, "tree")
	if _, err := output(ctx, "", "dpkg-deb", "-x", debs[0], tree); err != nil {
		return err
	}
	if err := packKernel(ctx, tree, dir); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// packKernel turns an unpacked kernel package into what a boot needs.
func packKernel(ctx context.Context, tree, dir string) error {
	found, err := filepath.Glob(tree + "/boot/vmlinuz-*")
	if err != nil || len(found) != 1 {
		return fault.New(fault.Internal, "the kernel package has %d kernels, want one", len(found))
	}
	if err := os.Rename(found[0], filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	release := filepath.Base(found[0])[len("vmlinuz-"):]
	for _, d := range []string{"/lib/modules", "/usr/lib/modules"} {
		if _, err := os.Stat(tree + d + "/" + release); err != nil {
			continue
		}
		if _, err := output(ctx, "", "depmod", "-b", filepath.Dir(filepath.Dir(tree+d)), release); err != nil {
			return err
		}
		if err := packDrivers(ctx, tree+d+"/"+release, dir+"/modules"); err != nil {
			return err
		}
		return makeDisk(ctx, tree+d, dir+"/modules.img", "200M")
	}
	return fault.New(fault.Internal, "the kernel package has no modules")
}

// packDrivers puts the drivers, uncompressed, into a folder where their names
// sort in the order of loading.
func packDrivers(ctx context.Context, modules, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i, d := range drivers {
		from := filepath.Join(modules, d)
		to := filepath.Join(dir, fmt.Sprintf("%02d-%s", i, filepath.Base(d)))
		plain, err := readModule(ctx, from)
		if os.IsNotExist(err) {
			continue // built in
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, plain, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func readModule(ctx context.Context, file string) ([]byte, error) {
	if _, err := os.Stat(file + ".xz"); err == nil {
		plain, err := output(ctx, "", "xz", "-dc", file+".xz")
		return []byte(plain), err
	}
	return os.ReadFile(file)
}

// makeDisk makes an ext4 disk from a folder, everything owned by root.
func makeDisk(ctx context.Context, from, file, size string) error {
	_, err := output(ctx, "", "fakeroot", find("mke2fs"), "-q", "-t", "ext4", "-d", from, file, size)
	return err
}
