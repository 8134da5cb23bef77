package machine

import (
	"context"
	"os"
	"runtime"
	"time"

	"nacre/fault"
	"nacre/test/vm/job"
)

// included are the packages of a machine beyond the smallest base.
const included = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,login,kmod,procps,uidmap,git,python3-minimal,iproute2,nftables"

// finish makes a half-unpacked root a machine.
var finish = []Step{
	{Name: "second stage", User: Root, Command: "/debootstrap/debootstrap --second-stage || { tail -30 /debootstrap/debootstrap.log; exit 1; }"},
	{Name: "plain user", User: Root, Command: "useradd --create-home --uid 1000 --shell /bin/bash " + job.Tester +
		" && grep " + job.Tester + " /etc/subuid /etc/subgid"},
	{Name: "settings", User: Root, Command: `set -e
echo vm > /etc/hostname
echo 127.0.0.1 localhost vm > /etc/hosts
: > /etc/fstab
: > /etc/machine-id
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /srv/vm /etc/dpkg/dpkg.cfg.d/vm
systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer`},
}

// unpackScript makes a half-unpacked root in ./tree. dpkg need not be careful
// about power cuts while the image is made.
const unpackScript = `set -e
[ -z "$7" ] || export http_proxy="$7"
"$1" --arch="$2" --foreign --variant=minbase --include="$3" --keyring="$4" "$5" tree "$6"
rm -rf tree/proc # a link to itself, under fakeroot
mkdir -p tree/proc tree/usr/lib/modules
echo force-unsafe-io > tree/etc/dpkg/dpkg.cfg.d/vm
`

// finishScript runs the steps of finish, its further arguments, in ./tree.
const finishScript = `
for step; do chroot tree env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive /bin/sh -c "$step" >&2; done
umount tree/proc tree/sys 2>/dev/null || true
`

const diskScript = `
"$mke2fs" -q -t ext4 -d tree disk.img 3G
rm -rf --one-file-system tree
`

// makeRoot fills dir with disk.img, the root disk of a release. As root, for
// this machine's architecture, packages are installed in a chroot, in half a
// minute. Otherwise they are installed in the machine itself, which takes
// minutes, but needs no privilege and no processor of that kind.
func (s Spec) makeRoot(ctx context.Context, kernel, dir string) error {
	if err := s.need(ctx, buildPrograms); err != nil {
		return err
	}
	uri, err := mirror(ctx)
	if err != nil {
		return err
	}
	via, err := proxy(ctx)
	if err != nil {
		return err
	}
	s.say("fetching %s for %s", s.Release, s.Arch)
	script := `mke2fs="$1"; shift` + "\n" + unpackScript
	args := []string{find("mke2fs"), find("debootstrap"), s.Arch, included, keyring, s.Release, uri, via}
	if os.Geteuid() == 0 && s.Arch == runtime.GOARCH {
		for _, f := range finish {
			args = append(args, f.Command)
		}
		script += "shift 7" + finishScript + diskScript
		args = append([]string{"--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"}, args...)
		_, err := output(ctx, dir, "unshare", args...)
		return err
	}
	// One fakeroot for all: it alone knows who owns what.
	args = append([]string{"sh", "-c", script + diskScript, "sh"}, args...)
	if _, err := output(ctx, dir, "fakeroot", args...); err != nil {
		return err
	}
	s.say("installing it, in the machine itself: this takes minutes")
	return s.finishRoot(ctx, image{kernel: kernel, root: dir})
}

func (s Spec) finishRoot(ctx context.Context, img image) error {
	results, err := s.boot(ctx, img, job.Job{Build: true, Steps: finish}, nil, 30*time.Minute)
	for _, r := range results {
		s.say("  %s: exit %d after %.0f s", r.Name, r.Exit, r.Took.Seconds())
		if r.Exit != 0 {
			return fault.New(fault.Internal, "making the image failed at %q: %s", r.Name, tail(r.Output, 1000))
		}
	}
	return err
}
