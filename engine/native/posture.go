package native

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/posture"
	"nacre/sandbox/blueprint"
	"nacre/sandbox/limits"
)

// filtered keeps what init tells with its filter, which is to be compared by its
// digest as it was loaded, and has denials answered.
func (b *box) filtered(m blueprint.Message, fds []int) {
	ours, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	b.facts["owner's keyring"] = fmt.Sprint(m.Keyring == ours && !errors.Is(err, unix.ENOSYS))
	b.facts["program"] = digest(m.Filter)
	b.silent = m.Error
	b.denied.Serve(fds)
}

func digest(code []byte) string { return fmt.Sprintf("%.8x", sha256.Sum256(code)) }

// Posture reads back what holds now; what init alone could find out is as it
// was when it was confined.
func (b *box) Posture() ([]nacre.Expectation, error) { return b.posture(), nil }

func (b *box) posture() []nacre.Expectation {
	bounds := make(chan []nacre.Expectation)
	go func() { bounds <- b.bounds() }()
	list := posture.Read(b.process.PID, b.spec, b.mapping, b.strays())
	program := b.spec.Seccomp
	if b.silent != "" {
		program = b.spec.Silent
	}
	for _, p := range []struct {
		promised              bool
		layer, item, expected string
	}{
		{true, "descriptors", "open in init", "only its own"},
		{true, "environment", "of init", "[GOMAXPROCS=1]"},
		{true, "capabilities", "securebits", fmt.Sprint(blueprint.Securebits)},
		{true, "identity", "dumpable", "0"},
		{true, "identity", "hostname", b.spec.Hostname},
		{true, "identity", "owner's keyring", "false"},
		{true, "seccomp", "program", digest(program)},
		{!b.spec.Nested, "namespaces", "max_user_namespaces", "0"},
		{b.spec.Landlock > 0, "landlock", "reading", "refused"},
		{b.spec.Landlock > 0, "landlock", "writing", "refused"},
		{b.spec.Landlock >= scoping, "landlock", "connecting", "refused"},
	} {
		if found := b.facts[p.item]; p.promised {
			list = append(list, nacre.Expectation{Layer: p.layer, Item: p.item, Expected: p.expected, Found: found, OK: found == p.expected})
		}
	}
	list = append(append(list, b.captured...), <-bounds...)
	return append(list, nacre.Expectation{Layer: "seccomp", Item: "denials reported", // as strict without
		Expected: "by name, if the kernel can", Found: cmp.Or(b.silent, "by name"), OK: true})
}

// bounds are what control groups hold, or all that they should, unless the owner
// accepted that there are none.
func (b *box) bounds() []nacre.Expectation {
	if b.group == nil && b.plan.Accepts(nacre.TierWatchdog) {
		return nil
	}
	return limits.Read(b.process.PID, b.group.Leaves(), b.plan.Limits)
}

// strays are where mounts may be that the blueprint does not name: masks laid since,
// and the host's own beneath a folder, which come with it.
func (b *box) strays() []string {
	list := b.watcher.Laid()
	for _, e := range b.spec.Entries {
		for i := 0; i < len(b.host) && e.Form == blueprint.Tree && e.Path != ""; i++ {
			if rest, ok := strings.CutPrefix(b.host[i].Path, e.Host+"/"); ok {
				list = append(list, path.Join(e.Path, rest))
			}
		}
	}
	return list
}
