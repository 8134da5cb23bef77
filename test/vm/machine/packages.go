package machine

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"

	"nacre/fault"
)

// program is something of the host's that is run here, and its Debian package.
type program struct{ name, pkg string }

// What making an image needs beyond qemu. The keyring is a file, not a
// program, but must be had as well.
var (
	buildPrograms = []program{
		{"debootstrap", "debootstrap"}, {"fakeroot", "fakeroot"}, {"mke2fs", "e2fsprogs"},
		{"wget", "wget"}, {"depmod", "kmod"}, {"xz", "xz-utils"}, {"dpkg-deb", "dpkg"},
		{keyring, "debian-archive-keyring"},
	}
)

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// need makes sure that programs are there: installs them as root, and says
// what is missing otherwise.
func (s Spec) need(ctx context.Context, programs []program) error {
	missing := missingPackages(programs)
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	refuse := fault.New(fault.Unsupported, "this machine lacks the packages %s", list).
		WithHint("as root: apt-get update && apt-get install --no-install-recommends %s", list)
	if os.Geteuid() != 0 || find("apt-get") == "" {
		return refuse
	}
	s.say("installing %s", list)
	if _, err := output(ctx, "", "apt-get", "update", "-q"); err != nil {
		refuse.Cause = err
		return refuse
	}
	args := append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...)
	if _, err := output(ctx, "", "apt-get", args...); err != nil {
		refuse.Cause = err
		return refuse
	}
	if left := missingPackages(programs); len(left) > 0 {
		return refuse
	}
	return nil
}

func missingPackages(programs []program) []string {
	var missing []string
	for _, p := range programs {
		if find(p.name) == "" {
			missing = append(missing, p.pkg)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// find looks for a program also where a plain user's PATH does not lead.
func find(name string) string {
	if strings.HasPrefix(name, "/") {
		if _, err := os.Stat(name); err != nil {
			return ""
		}
		return name
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p
		}
	}
	return ""
}

// output runs a program of the host's in a folder and returns what it printed;
// on failure the error carries the end of what it said.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	path := find(name)
	if path == "" {
		return "", fault.New(fault.Unsupported, "no program %s on this machine", name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive",
		"PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var out, all bytes.Buffer
	cmd.Stdout = &out
	cmd.Stderr = &all
	if err := cmd.Run(); err != nil {
		said := tail(out.String()+all.String(), 600)
		return "", fault.Wrap(fault.Unsupported, err, "%s: %s", name, said)
	}
	return out.String(), nil
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = "…" + s[len(s)-n:]
	}
	return s
}
