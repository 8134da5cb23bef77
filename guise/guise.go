// Package guise makes up the machine that an agent finds itself on: the texts of
// /etc and /proc that tell who one is and where. Nothing in them is the host's,
// and nothing reads them but programs in the sandbox.
package guise

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Etc is the content of files in /etc, by their names. The same sandbox always
// has the same.
func Etc(sandbox, hostname string) map[string]string {
	return map[string]string{
		"passwd":        "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"group":         "root:x:0:\ntty:x:5:\nagent:x:1000:\nnogroup:x:65534:\n",
		"hosts":         "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 " + hostname + "\n",
		"hostname":      hostname + "\n",
		"host.conf":     "multi on\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
		"resolv.conf":   "# no name server: this sandbox has no network\n",
		"machine-id":    identifier(sandbox) + "\n",
	}
}

// Proc is the content of files in /proc, by their names.
func Proc(sandbox string) map[string]string {
	m := identifier("boot:" + sandbox)
	boot := m[:8] + "-" + m[8:12] + "-4" + m[13:16] + "-a" + m[17:20] + "-" + m[20:32]
	return map[string]string{"cmdline": "\n", "sys/kernel/random/boot_id": boot + "\n"}
}

// Clocks are the offsets that have a machine's uptime begin now: that of the host
// identifies it. There are none where the kernel cannot have them: before Linux 6.3
// only children are born into a time namespace, not what follows an execve, and
// until then nacre-init can make no thread.
func Clocks() (offsets string) {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	if _, err := os.Lstat("/proc/self/ns/time"); err != nil || !reaches(string(release), 6, 3) {
		return ""
	}
	for _, clock := range []struct {
		name string
		id   int32
	}{{"monotonic", unix.CLOCK_MONOTONIC}, {"boottime", unix.CLOCK_BOOTTIME}} {
		var now unix.Timespec
		_ = unix.ClockGettime(clock.id, &now) // a clock that is not there has no offset
		offsets += fmt.Sprintf("%s -%d 0\n", clock.name, now.Sec)
	}
	return offsets
}

// reaches tells whether a kernel's release is a version or newer. What cannot
// be read is old.
func reaches(release string, major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a > major || a == major && b >= minor
}

// identifier is a stable one made up for a sandbox.
func identifier(sandbox string) string {
	sum := sha256.Sum256([]byte("nacre machine " + sandbox))
	return hex.EncodeToString(sum[:16])
}
