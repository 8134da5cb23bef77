package native

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/posture"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/limits"
	"nacre/sandbox/notify"
)

// filtered keeps what init tells with its filter, which is to be compared by its
// digest as it was loaded, and has denials answered.
func (b *box) filtered(m blueprint.Message, fds []int) {
	ours, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	b.facts["owner's keyring"] = fmt.Sprint(m.Keyring == ours && !errors.Is(err, unix.ENOSYS))
	b.facts["program"] = digest(m.Filter)
	b.silent = m.Error
	for _, listener := range fds {
		b.served = notify.Serve(listener, b.denied)
	}
}

func digest(code []byte) string { return fmt.Sprintf("%.8x", sha256.Sum256(code)) }

// Posture reads back what holds now; what init alone could find out is as it
// was when it was confined.
func (b *box) Posture() ([]nacre.Expectation, error) {
	list := posture.Read(b.process.PID, b.spec, b.mapping, b.mounts())
	program := b.spec.Seccomp
	if b.silent != "" {
		program = b.spec.Silent
	}
	for _, p := range []struct {
		promised              bool
		layer, item, expected string
	}{
		{true, "descriptors", "open in init", "only its own"},
		{true, "environment", "of init", "[]"},
		{true, "capabilities", "securebits", fmt.Sprint(blueprint.Securebits)},
		{true, "identity", "dumpable", "0"},
		{true, "identity", "hostname", b.spec.Hostname},
		{true, "identity", "owner's keyring", "false"},
		{true, "seccomp", "program", digest(program)},
		{!b.spec.Nested, "namespaces", "max_user_namespaces", "0"},
		{b.spec.Landlock.ABI > 0, "landlock", "reading", "refused"},
		{b.spec.Landlock.ABI > 0, "landlock", "writing", "refused"},
		{b.spec.Landlock.ABI >= scoping, "landlock", "connecting", "refused"},
	} {
		if found := b.facts[p.item]; p.promised {
			list = append(list, nacre.Expectation{Layer: p.layer, Item: p.item, Expected: p.expected, Found: found, OK: found == p.expected})
		}
	}
	list = append(append(list, b.captured...), b.bounds()...)
	return append(list, nacre.Expectation{Layer: "seccomp", Item: "denials reported", // as strict without
		Expected: "by name, if the kernel can", Found: cmp.Or(b.silent, "by name"), OK: true}), nil
}

// bounds are what control groups hold, or all that they should, unless the owner
// accepted that there are none.
func (b *box) bounds() []nacre.Expectation {
	if b.group == nil && slices.Contains(b.plan.Accepted, nacre.TierWatchdog) {
		return nil
	}
	return limits.Read(b.process.PID, b.group.Leaves(), b.limits)
}

// mounts lists what is to be mounted, in its order.
func (b *box) mounts() []posture.Mount {
	list := []posture.Mount{{Path: "/", Write: b.spec.Overlay}}
	for _, name := range b.watcher.Laid() {
		list = append(list, posture.Mount{Path: name, Any: true})
	}
	exists := func(path string) bool { _, err := os.Lstat(path); return err == nil } // the same kernel's
	for _, e := range b.spec.Entries {
		if e.Form == blueprint.Tree {
			for _, m := range b.host { // the host's own beneath a folder come with it
				if rest, ok := strings.CutPrefix(m.Path, e.Host+"/"); ok && e.Path != "" {
					list = append(list, posture.Mount{Path: path.Join(e.Path, rest), Any: true})
				}
			}
		}
		if e.Mounted() || e.Over() && (!e.Optional || exists(e.Path)) {
			list = append(list, posture.Mount{Path: e.Path, Write: e.Write, Device: e.Device, Cover: e.Over()})
		}
	}
	return list
}
