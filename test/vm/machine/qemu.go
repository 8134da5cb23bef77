package machine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"nacre/fault"
	"nacre/test/vm/job"
)

// resultsSize is that of the results disk, a sparse file.
const resultsSize = 256 << 20

// boot runs one job in a machine and returns the results that it left.
func (s Spec) boot(ctx context.Context, img image, j job.Job, files map[string]string, limit time.Duration) ([]StepResult, error) {
	a := arches[s.Arch]
	if err := s.need(ctx, []program{a.qemu}); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nacre-vm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := s.writeDisks(ctx, dir, img, j, files); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, find(a.qemu.name), s.arguments(dir, img, j.Build)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	// The machine must not outlive the test, not even one killed by force.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := s.follow(cmd)
	results, readErr := readResults(filepath.Join(dir, job.DiskResults))
	switch {
	case ctx.Err() != nil:
		err = fault.Wrap(fault.Exhausted, ctx.Err(), "the machine was stopped after %d of %d steps; it last said: %s",
			len(results), len(j.Steps), tail(said, 1500))
	case err == nil && len(results) < len(j.Steps):
		err = fault.New(fault.Internal, "the machine ended after %d of %d steps; it last said: %s",
			len(results), len(j.Steps), tail(said, 1500))
	}
	return results, errors.Join(err, readErr)
}

// writeDisks makes the disks and the initial RAM file system of one run.
func (s Spec) writeDisks(ctx context.Context, dir string, img image, j job.Job, files map[string]string) error {
	guest := filepath.Join(dir, "guest")
	if err := buildGuest(ctx, guest, s.Arch); err != nil {
		return err
	}
	if err := writePayload(filepath.Join(dir, job.DiskPayload), guest, j, files); err != nil {
		return err
	}
	ram, err := initramfs(guest, img.kernel+"/modules")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "initramfs"), ram, 0o600); err != nil {
		return err
	}
	results := filepath.Join(dir, job.DiskResults)
	return errors.Join(os.WriteFile(results, nil, 0o600), os.Truncate(results, resultsSize))
}

// buildGuest builds the program that runs inside the machine.
func buildGuest(ctx context.Context, file, arch string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", file, "nacre/test/vm/guest")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault.Wrap(fault.Internal, err, "building the guest program: %s", out)
	}
	return nil
}

// arguments are qemu's. A run leaves the image as it is: what it writes goes to
// a file without a name. The building of an image writes it.
func (s Spec) arguments(dir string, img image, building bool) []string {
	a := arches[s.Arch]
	kernelLine := "console=" + a.console + " panic=-1 quiet systemd.show_status=no" +
		" systemd.mask=serial-getty@" + a.console + ".service " + s.Variant.KernelArgs
	args := append([]string{}, a.machine...)
	args = append(args, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "2048",
		"-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none",
		"-no-user-config", "-nodefaults", "-no-reboot",
		"-kernel", img.kernel+"/vmlinuz", "-initrd", dir+"/initramfs", "-append", strings.TrimSpace(kernelLine))
	rootMode := "snapshot=on"
	if building {
		rootMode = "cache=unsafe"
	}
	args = append(args, disk(job.DiskRoot, img.root+"/disk.img", rootMode)...)
	args = append(args, disk(job.DiskPayload, dir+"/"+job.DiskPayload, "readonly=on")...)
	args = append(args, disk(job.DiskResults, dir+"/"+job.DiskResults, "cache=writethrough")...)
	return append(args, disk(job.DiskModules, img.kernel+"/modules.img", "readonly=on")...)
}

func disk(name, file, mode string) []string {
	// A comma ends a file's name in qemu's options unless it is doubled.
	file = strings.ReplaceAll(file, ",", ",,")
	return []string{"-drive", "if=none,format=raw,id=" + name + ",file=" + file + "," + mode,
		"-device", "virtio-blk-pci,drive=" + name + ",serial=" + name}
}

// follow runs qemu, passes on what the guest program says and returns the end
// of the console's text.
func (s Spec) follow(cmd *exec.Cmd) (string, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	cmd.Stderr = cmd.Stdout
	// The death signal follows the thread that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return "", err
	}
	said := s.read(out, start)
	err = cmd.Wait()
	s.say("  the emulator took %.0f s, and %.0f s of processor time", time.Since(start).Seconds(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	if err != nil {
		return said, fault.Wrap(fault.Internal, err, "qemu: %s", tail(said, 1500))
	}
	return said, nil
}

func (s Spec) read(console io.Reader, start time.Time) string {
	var said string
	r := bufio.NewReaderSize(console, 64<<10)
	for {
		part, err := r.ReadSlice('\n') // a longer line comes in parts
		line := string(part)
		said += line
		said = said[max(0, len(said)-8<<10):]
		if msg, ok := strings.CutPrefix(strings.TrimSpace(line), job.Started); ok {
			s.say("  %5.1f s  %s", time.Since(start).Seconds(), msg)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return said
		}
	}
}
