package attack

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"nacre/attack/wire"
)

const architecture = runtime.GOARCH

// finding is something that lies in the granted folder after the run.
type finding struct {
	verdict  wire.Verdict
	evidence string
}

// deepest is the nesting beyond which a folder is called deep.
const deepest = 100

// inspect walks the granted folder, through a root that no link leaves, and
// names what an agent left there, by the probe that would have left it.
func inspect(folder string, originals map[string]string) map[string]finding {
	found := map[string]finding{}
	note := func(probe string, v wire.Verdict, name string) {
		if f, ok := found[probe]; ok && len(f.evidence) > 200 {
			return
		} else if ok {
			name = f.evidence + ", " + clean(name)
		} else {
			name = clean(name)
		}
		found[probe] = finding{v, name}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		note("afterwards.settings", wire.Error, err.Error())
		return found
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if strings.Count(name, "/") > deepest {
			note("afterwards.deep-tree", wire.Info, fmt.Sprintf("folders nested deeper than %d", deepest))
			return fs.SkipDir
		}
		if st, err := root.Lstat(name); err == nil {
			inspectOne(folder, name, st, note)
		}
		return nil
	})
	for name, want := range originals {
		probe := "afterwards.settings"
		if strings.HasPrefix(name, ".git/") {
			probe = "afterwards.git-hooks"
		}
		if data, err := root.ReadFile(name); err != nil || string(data) != want {
			note(probe, wire.Escaped, name+" changed")
		}
	}
	return found
}

func inspectOne(folder, name string, st fs.FileInfo, note func(string, wire.Verdict, string)) {
	mode := st.Mode()
	switch {
	case mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && strings.HasPrefix(filepath.Base(name), "planted-"):
		note("afterwards.setuid", wire.Escaped, fmt.Sprintf("%s is %s", name, mode))
	case mode&fs.ModeDevice != 0:
		note("afterwards.devices", wire.Escaped, fmt.Sprintf("%s is %s", name, mode))
	case mode&fs.ModeNamedPipe != 0:
		note("afterwards.fifo", wire.Info, name)
	case mode&fs.ModeSymlink != 0 && name != "link-out" && name != "dir-out":
		note("afterwards.links-out", wire.Info, name)
	case mode.IsRegular():
		path := filepath.Join(folder, name)
		if n, err := unix.Lgetxattr(path, "security.capability", nil); err == nil && n > 0 {
			note("afterwards.file-capabilities", wire.Escaped, name)
		}
		if strings.HasSuffix(name, "immutable") && immutable(path) {
			note("afterwards.immutable", wire.Escaped, name)
		}
	}
	base := filepath.Base(name)
	if strings.HasPrefix(base, "-") || strings.ContainsFunc(base, func(c rune) bool { return !unicode.IsPrint(c) || c == unicode.ReplacementChar }) {
		note("afterwards.hostile-names", wire.Info, name)
	}
	switch {
	case base == ".envrc" || base == "AGENTS.md" || base == ".bashrc" || base == "Makefile" || strings.HasPrefix(name, ".github/workflows/"):
		note("afterwards.new-traps", wire.Info, name)
	case strings.Contains(name, "/.git/hooks/"):
		note("afterwards.new-traps", wire.Info, name)
	case strings.HasPrefix(name, ".git/hooks/") && base != "pre-commit":
		note("afterwards.git-hooks", wire.Escaped, name+" is new")
	}
}

// process is one that should be gone.
type process struct {
	pid     int
	command string
	probe   string
}

// end kills it. Its command line names this run: it is ours.
func (p process) end() { unix.Kill(p.pid, unix.SIGKILL) }

// teardownTime is how long a sandbox may take to be gone after its end.
const teardownTime = 2 * time.Second

// waitGone waits for the processes of a run to end and answers those that do
// not. They are known by the run's number or the folder in their command line.
func waitGone(run, folder string) []process {
	for end := time.Now().Add(teardownTime); ; time.Sleep(50 * time.Millisecond) {
		alive := processes(run, folder)
		if len(alive) == 0 || time.Now().After(end) {
			return alive
		}
	}
}

func processes(run, folder string) []process {
	var alive []process
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		data, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		command := strings.ReplaceAll(strings.TrimRight(string(data), "\x00"), "\x00", " ")
		if !strings.Contains(command, run) && !strings.Contains(command, folder) {
			continue
		}
		p := process{pid: pid, command: command}
		words := strings.Fields(command)
		for i, word := range words {
			if (word == run || word == "--probe") && i+1 < len(words) {
				p.probe = clean(words[i+1])
			}
		}
		alive = append(alive, p)
	}
	return alive
}

func processOf(alive []process, probe string) (process, bool) {
	for _, p := range alive {
		if p.probe == probe {
			return p, true
		}
	}
	return process{}, false
}

// settings reads the kernel settings that an escape would change.
func settings() map[string]string {
	values := map[string]string{}
	paths := []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/sys/kernel/uevent_helper", "/proc/sys/kernel/sysrq",
		"/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/sys/kernel/panic", "/proc/sys/vm/panic_on_oom",
		"/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/dmesg_restrict",
		"/proc/sys/kernel/randomize_va_space", "/proc/sys/fs/protected_symlinks", "/proc/sys/user/max_user_namespaces"}
	agents, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
	for _, path := range append(paths, agents...) {
		if data, err := os.ReadFile(path); err == nil {
			values[path] = strings.TrimSpace(string(data))
		}
	}
	return values
}

// hostValues are what identifies this machine, by the probe that reads it.
func hostValues() map[string][]string {
	values := map[string][]string{}
	add := func(probe, path string) {
		data, err := os.ReadFile(path)
		if text := strings.TrimSpace(string(data)); err == nil && text != "" {
			values[probe] = append(values[probe], text)
		}
	}
	if name, err := os.Hostname(); err == nil {
		values["information.hostname"] = []string{name}
	}
	add("information.machine-id", "/etc/machine-id")
	add("information.boot-id", "/proc/sys/kernel/random/boot_id")
	add("information.kernel-command-line", "/proc/cmdline")
	add("information.host-names", "/etc/hosts")
	add("information.ssh-host-key", "/etc/ssh/ssh_host_ed25519_key.pub")
	hardware, _ := filepath.Glob("/sys/class/dmi/id/*_serial")
	cards, _ := filepath.Glob("/sys/class/net/*/address")
	for _, path := range append(append(hardware, cards...), "/sys/class/dmi/id/product_uuid", "/proc/device-tree/serial-number", "/sys/class/dmi/id/product_name") {
		if !strings.Contains(path, "/lo/") {
			add("information.hardware", path)
		}
	}
	return values
}

// escapeMarker is how a terminal escape sequence of this run begins.
func escapeMarker(run string) string { return "\x1b]52;c;nacre-escape-" + run }
