package native

import (
	"bytes"
	"context"
	"os"
	"runtime"

	"nacre"
	"nacre/denials"
	"nacre/fault"
	"nacre/guise"
	"nacre/install"
	"nacre/sandbox"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/layer"
	"nacre/seccomp"
)

// prepare describes the sandbox: what the plan says by itself, then what takes a look at
// this machine, at last the owner's folders, which it pins, and what to mask in them.
func (b *box) prepare(ctx context.Context) error {
	p, nested := b.plan, hasGroup(b.plan, "nested-sandbox")
	b.spec = blueprint.Spec{
		Hostname: p.Identity.Hostname,
		UID:      p.Identity.UID,
		Disk:     p.Limits.Disk,
		Entries:  ownEntries(p, b.id, nested),
		Limits:   rlimits(p),
		Loopback: p.Loopback,
		Time:     guise.Clocks(),
		Nested:   nested,
	}
	return b.take(ctx, b.identify, b.landlock, b.cores, b.filter, b.image, b.survey)
}

// survey looks at what the sandbox is to show, and hands it to init.
func (b *box) survey(ctx context.Context) (err error) {
	b.host, err = sandbox.Mounts("/proc/self/mountinfo")
	if err == nil {
		b.view, err = b.look(ctx, b.watcher.Scan)
	}
	for i := 0; err == nil && i < len(b.view); i++ {
		err = b.show(b.view[i].entry, b.view[i].pin)
	}
	return err
}

// As root every running sandbox has a user id of its own from this range,
// which lies above those of people, systemd and container managers
// (systemd's UIDS-GIDS.md), and below 2^31.
const firstUID, uidCount = 0x7ACE0000, 0x10000

// identify chooses who the agent is outside.
func (b *box) identify(context.Context) (err error) {
	b.mapping = sandbox.Mapping{Inside: b.plan.Identity.UID, UID: os.Geteuid(), GID: os.Getegid()} // the owner's
	first, count := firstUID, uidCount
	if os.Geteuid() != 0 {
		if len(b.plan.Files) > 0 || b.plan.Image.Kind != nacre.ImageHost {
			return nil // its files are the owner's
		}
		first, count, b.mapping.Helper, err = install.Subordinate()
	}
	if err != nil && b.plan.Accepts(nacre.TierOwnerUID) {
		return nil
	}
	if err == nil {
		b.mapping.UID, err = b.number(first, count)
		b.mapping.GID, b.spec.Regroup = b.mapping.UID, true
	}
	return err
}

// number reserves a number from first on that no other running sandbox has.
func (b *box) number(first, count int) (int, error) {
	n, held, err := b.engine.Runs.Number(count)
	if err == nil {
		b.held = append(b.held, held)
	}
	return first + n, err
}

// scoping is the ABI from which Landlock knows signals and abstract sockets.
const scoping = 6

// landlock says which ABI init must find.
func (b *box) landlock(context.Context) error {
	abi, err := layer.LandlockABI()
	switch {
	case err != nil && b.plan.Accepts(nacre.TierNoLandlock), b.spec.Nested: // there Landlock forbids every mount; the plan warns
		return nil
	case err != nil:
		return fault.New(fault.Unsupported, "this kernel has no Landlock (%v)", err).
			WithHint("boot a kernel with landlock among its LSMs (lsm=landlock,…); or accept the lower tier: --accept %s", nacre.TierNoLandlock)
	case abi < scoping && !b.plan.Accepts(nacre.TierOldLandlock):
		return fault.New(fault.Unsupported, "this kernel's Landlock has ABI %d; scoping of signals and abstract sockets needs 6 (Linux 6.12)", abi).
			WithHint("use a newer kernel; or accept the lower tier: --accept %s", nacre.TierOldLandlock)
	}
	b.spec.Landlock = abi
	return nil
}

// cores refuses where the kernel hands crashes to a socket of the host's (core(5), Linux
// 6.16): it asks no limit there, and nothing but whether the program is dumpable, which
// each execution makes it again (fs/coredump.c).
func (b *box) cores(context.Context) error {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err == nil && !bytes.HasPrefix(pattern, []byte("@")) || b.plan.Accepts(nacre.TierCoreSocket) {
		return nil
	}
	return fault.Wrap(fault.Unsupported, err, "the kernel hands a crash in a sandbox, with all of its memory, to a socket of the host's (kernel.core_pattern), whatever limit it has").
		WithHint("as an administrator: sysctl kernel.core_pattern=core, or a program (|/PATH); or accept the lower tier: --accept %s", nacre.TierCoreSocket)
}

// filter makes the system call filter, and who counts what it denies.
func (b *box) filter(context.Context) error {
	o := seccomp.Options{Arch: seccomp.Arch(runtime.GOARCH), Loopback: b.plan.Loopback, Watched: b.group == nil}
	for _, g := range b.plan.Syscalls {
		o.Groups = append(o.Groups, g.Name)
	}
	table, err := seccomp.NewTable(o)
	if err != nil {
		return err
	}
	program := table.Filter()
	b.spec.Seccomp, b.spec.Silent = program.Bytes(), program.Silent().Bytes()
	b.denied = denials.New(o, program, b.engine.Audit, b.like)
	return nil
}

// image has the root file system prepared, where it is not the host's.
func (b *box) image(ctx context.Context) error {
	if b.plan.Image.Kind == nacre.ImageHost {
		return nil
	}
	if b.engine.Images == nil {
		return fault.New(fault.Unsupported, "no images can be prepared here")
	}
	folder, held, err := b.engine.Images(ctx, b.plan.Image)
	if err != nil {
		return err
	}
	b.held = append(b.held, held)
	b.spec.Overlay = true
	b.spec.Disk /= 2 // the overlay's own layer is a file system of this size too
	pin, err := sandbox.OpenPin(folder)
	if err != nil {
		return err
	}
	b.held = append(b.held, pin.File)
	return b.show(blueprint.Entry{Form: blueprint.Tree, Host: folder, Dir: true}, pin)
}

// show hands what is seen to init: what is pinned, as root as a mount on which its
// owner appears as the agent; else as the pin that init must arrive at.
func (b *box) show(e blueprint.Entry, pin *sandbox.Pin) (err error) {
	if pin != nil {
		file := pin.File
		if e.Detached = os.Geteuid() == 0; e.Detached {
			if file, err = sandbox.DetachMapped(pin, b.mapping); err != nil {
				return err
			}
			b.held = append(b.held, file)
		}
		e.FD = blueprint.FirstFD + len(b.files)
		b.files = append(b.files, file)
	}
	b.spec.Entries = append(b.spec.Entries, e)
	return nil
}
