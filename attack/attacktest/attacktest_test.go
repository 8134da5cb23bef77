package attacktest

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"nacre/attack"
	"nacre/attack/wire"
)

// withoutSandbox are probes that must be seen to escape where there is no
// sandbox at all, whoever runs them: the proof that each of them can fail.
var withoutSandbox = strings.Fields(`
	descriptors.inherited descriptors.stdin-reopen descriptors.cwd descriptors.outside-secret descriptors.dotdot
	descriptors.symlink descriptors.blocked-names descriptors.blocked-rename descriptors.blocked-replaced descriptors.blocked-moved-in descriptors.hardlink-existing
	descriptors.hardlink-new descriptors.exchange-race descriptors.host-write descriptors.proc-root
	descriptors.proc-environ descriptors.proc-fd others.processes others.signal others.abstract-socket
	others.pathname-socket others.granted-socket others.agent-sockets others.sysv-shm
	others.sysv-msg others.dev-shm network.loopback-tcp4 network.loopback-udp4 network.loopback-other-names
	information.environment information.hostname afterwards.daemon afterwards.daemon-holds-output
	afterwards.daemon-from-memory afterwards.setuid afterwards.git-hooks afterwards.settings afterwards.terminal-escapes`)

// claimedWithoutSandbox are further ones, of which only the inside can tell.
var claimedWithoutSandbox = strings.Fields("kernel.unix-oob others.leases")

func TestWithoutSandbox(t *testing.T) {
	command, err := attack.Template("{}")
	if err != nil {
		t.Fatal(err)
	}
	r := Run(t, attack.Options{Name: "no sandbox", Flags: "{}", Command: command, Safe: true})
	for _, id := range slices.Concat(withoutSandbox, claimedWithoutSandbox) {
		e, ok := r.Entry(id)
		if !ok || e.Verdict != wire.Escaped && e.Verdict != wire.NotApplicable {
			t.Errorf("%s is %q without a sandbox: %s", id, e.Verdict, e.Evidence)
		}
		if ok && e.Verdict == wire.Escaped && !e.Proven && !slices.Contains(claimedWithoutSandbox, id) {
			t.Errorf("%s is not proven from outside", id)
		}
	}
	for _, e := range r.Entries {
		if e.Verdict == wire.Error {
			t.Errorf("%s: %s", e.ID, e.Evidence)
		}
	}
	if r.Held() {
		t.Error("no sandbox at all is said to hold")
	}
}

// bubblewrap is a decent command line for another sandbox, without a filter
// for system calls and without limits.
const bubblewrap = "bwrap --unshare-all --hostname box --die-with-parent --new-session --clearenv --ro-bind /usr /usr --symlink usr/lib /lib" +
	" --symlink usr/lib64 /lib64 --symlink usr/bin /bin --proc /proc --dev /dev --tmpfs /tmp --bind {dir} {dir} --chdir / --cap-drop ALL {}"

// held by any sandbox with namespaces and a root of its own.
var heldByNamespaces = strings.Fields(`
	descriptors.cwd descriptors.outside-secret descriptors.dotdot descriptors.symlink descriptors.host-write
	descriptors.proc-root others.processes others.signal others.signal-all others.abstract-socket others.pathname-socket others.agent-sockets
	others.sysv-shm others.sysv-msg others.posix-mq others.dev-shm others.process-vm others.sibling network.loopback-tcp4 network.loopback-tcp6
	network.loopback-udp4 network.loopback-udp6 network.loopback-other-names network.mptcp network.tcp-fast-open
	network.interfaces network.ipv4 network.ipv6 network.private network.metadata network.gateway information.environment information.hostname
	kernel.capabilities kernel.no-new-privs kernel.mount kernel.mount-api kernel.remount kernel.umount-masks kernel.mknod kernel.pivot-root kernel.chroot
	kernel.reboot kernel.module-init kernel.open-by-handle afterwards.daemon afterwards.daemon-holds-output afterwards.daemon-from-memory
	afterwards.devices afterwards.file-capabilities`)

// not held by it: no filter, no limits, no masks inside the folder.
var openInBubblewrap = strings.Fields(`
	descriptors.blocked-names descriptors.proc-environ kernel.seccomp-mode kernel.personality exhaustion.forks
	exhaustion.memory exhaustion.output afterwards.setuid afterwards.git-hooks afterwards.terminal-escapes others.granted-socket
	kernel.unix-oob others.leases exhaustion.terminals`)

func TestBubblewrap(t *testing.T) {
	if err := exec.Command("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true").Run(); err != nil {
		t.Skipf("needs bwrap (package bubblewrap) and user namespaces: %v", err)
	}
	command, err := attack.Template(bubblewrap)
	if err != nil {
		t.Fatal(err)
	}
	r := Run(t, attack.Options{Name: "bubblewrap", Flags: bubblewrap, Command: command,
		Limits: wire.Limits{Memory: 128 << 20, Processes: 64, OpenFiles: 512, Disk: 64 << 20, Output: 8 << 20, CPUs: 1}})
	for _, id := range heldByNamespaces {
		if e, ok := r.Entry(id); !ok || e.Verdict != wire.Contained && e.Verdict != wire.NotApplicable {
			t.Errorf("%s is %q: %s", id, e.Verdict, e.Evidence)
		}
	}
	for _, id := range openInBubblewrap {
		if e, _ := r.Entry(id); e.Verdict != wire.Escaped {
			t.Errorf("%s is %q: %s", id, e.Verdict, e.Evidence)
		}
	}
	for _, e := range r.Entries {
		if e.Verdict == wire.Error {
			t.Errorf("%s: %s", e.ID, e.Evidence)
		}
	}
}

// TestLimits shows that a bomb is contained where there is a limit: the limit
// of processes by rlimit, for whoever is not root.
func TestLimits(t *testing.T) {
	command, err := attack.Template(`prlimit --nofile=300:300 --memlock=65536:65536 {}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("needs prlimit (package util-linux)")
	}
	r := Run(t, attack.Options{Name: "rlimits", Command: command, Limits: wire.Limits{OpenFiles: 300}, Probes: []string{"exhaustion.descriptors"}})
	if e, _ := r.Entry("exhaustion.descriptors"); e.Verdict != wire.Contained {
		t.Errorf("descriptors are %q: %s", e.Verdict, e.Evidence)
	}
}
