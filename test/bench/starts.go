package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"nacre/seccomp"
)

// contender is one way to run echo.
type contender struct {
	name, enforces string
	command        []string
	uid            int      // who runs it, where this is root
	pass           *os.File // descriptor 3
	first, times   []time.Duration
}

const (
	layers = "user, mount, pid, net, ipc, uts, cgroup, time namespaces; own root, masked /proc; limits; no capabilities; Landlock; filter; posture read, start and end recorded and synced"
	nobody = 65534
)

// starts measures starts, in turn.
func (b *bench) starts() error {
	list, err := b.contenders()
	if err != nil {
		return err
	}
	var ready []*contender
	for _, c := range list {
		for range 2 { // once for the caches, and to see whether it works
			_, _, err = c.once(b)
		}
		if err != nil {
			b.note("%s cannot be measured here: %v", c.name, err)
			continue
		}
		ready = append(ready, c)
	}
	residents, err := b.residents()
	if err != nil {
		return err
	}
	for range b.rounds {
		for _, c := range ready {
			first, all, err := c.once(b)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.first, c.times = append(c.first, first), append(c.times, all)
		}
		for _, r := range residents {
			if err := r.once(); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	b.beside(ready) // before they are sorted
	var bwrap figure
	add := func(name, enforces string, first, times []time.Duration) {
		f := figureOf(name, enforces, times)
		f.First = figureOf("", "", first).Median
		if name == "bwrap + filter" {
			bwrap = f
		}
		b.report.Starts = append(b.report.Starts, f)
	}
	for _, c := range ready {
		add(c.name, c.enforces, c.first, c.times)
	}
	for _, r := range residents {
		r.stop()
		add(r.name, r.enforces, r.first, r.times)
	}
	for i := range b.report.Starts {
		if f := &b.report.Starts[i]; bwrap.Median > 0 {
			f.Relative, f.FirstRelative = f.Median/bwrap.Median, f.First/bwrap.First
		}
	}
	return nil
}

// output notes when something is written first.
type output struct{ first time.Time }

func (o *output) Write(p []byte) (int, error) {
	if o.first.IsZero() {
		o.first = time.Now()
	}
	return len(p), nil
}

// once starts it, and tells the time to its first output and to its end.
func (c *contender) once(b *bench) (first, all time.Duration, err error) {
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Dir = "/"
	home := "/root"
	if os.Geteuid() != 0 || c.uid != 0 {
		home = b.at("home")
	}
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + home, "XDG_STATE_HOME=" + b.at("state"+fmt.Sprint(c.uid))}
	if c.uid != 0 && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}}
	}
	if c.pass != nil {
		if _, err := c.pass.Seek(0, 0); err != nil {
			return 0, 0, err
		}
		cmd.ExtraFiles = []*os.File{c.pass}
	}
	var out tail
	var said output
	cmd.Stderr, cmd.Stdout = &out, &said
	begun := time.Now()
	err = cmd.Run()
	all = time.Since(begun)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return said.first.Sub(begun), all, err
}

// tail keeps the beginning of what a program complains about.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p[:min(len(p), 300-min(len(*t), 300))]...)
	return len(p), nil
}

func (b *bench) contenders() ([]*contender, error) {
	table, err := seccomp.NewTable(seccomp.Options{Arch: seccomp.Arch(runtime.GOARCH), Loopback: true})
	if err != nil {
		return nil, err
	}
	b.filter = b.at("filter")
	if err := os.WriteFile(b.filter, table.Filter().Silent().Bytes(), 0o644); err != nil {
		return nil, err
	}
	pass, err := os.Open(b.filter)
	if err != nil {
		return nil, err
	}
	nacre := []string{b.at("nacre"), "run", "-q", "--", "echo", "."}
	list := []*contender{
		{name: "bare", enforces: "nothing", command: []string{"/usr/bin/echo", "."}},
		{name: "bwrap", enforces: "user, mount, pid, net, ipc, uts, cgroup namespaces; own root; no capabilities", command: bwrap()},
		{name: "bwrap + filter", enforces: "as bwrap; Nacre's filter", command: bwrap("--seccomp", "3"), pass: pass},
		{name: "nacre run", enforces: layers, command: nacre},
	}
	more, err := b.networked()
	if err != nil {
		return nil, err
	}
	list = append(list, more...)
	if c, err := b.floor(); err != nil {
		b.note("no floor in C: %v", err)
	} else {
		list = append(list, c)
	}
	if os.Geteuid() == 0 {
		for _, dir := range []string{"home", "state65534"} {
			if err := errors.Join(os.MkdirAll(b.at(dir), 0o700), os.Chown(b.at(dir), nobody, nobody)); err != nil {
				return nil, err
			}
		}
		plain := []string{b.at("nacre"), "run", "-q", "--accept", "limits-watchdog", "--accept", "owner-uid", "--", "echo", "."}
		list = append(list, &contender{name: "nacre run, plain user", enforces: "as nacre run, without control groups: a watchdog limits", command: plain, uid: nobody})
		if c, err := b.runc(); err != nil {
			b.note("no runc: %v", err)
		} else {
			list = append(list, c)
		}
	}
	return list, nil
}

// bwrap shows about what nacre shows of the host.
func bwrap(more ...string) []string {
	c := []string{"/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
		"--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/home/agent", "--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache"}
	for _, l := range []string{"bin", "sbin", "lib", "lib64"} {
		if target, err := os.Readlink("/" + l); err == nil {
			c = append(c, "--symlink", target, "/"+l)
		}
	}
	return append(append(c, more...), "echo", ".")
}

// floor compiles the least that such a sandbox takes.
func (b *bench) floor() (*contender, error) {
	source, err := filepath.Abs("test/bench/testdata/floor.c")
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("cc", "-O2", "-static", "-o", b.at("floor"), source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %.300s", err, out)
	}
	return &contender{name: "floor in C", enforces: "user, mount, pid, net, ipc, uts, cgroup namespaces; own root; no capabilities; Landlock; Nacre's filter",
		command: []string{b.at("floor"), b.filter, "/usr/bin/echo", "."}}, nil
}

// runc makes a bundle whose root is made here and holds nothing of the host's
// but /usr. Its /dev is a fresh one; no link in it leads to a file of the
// kernel's.
func (b *bench) runc() (*contender, error) {
	bundle := b.at("bundle")
	for _, dir := range []string{"usr", "proc", "dev", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(bundle, "rootfs", dir), 0o755); err != nil {
			return nil, err
		}
	}
	for _, l := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+l, filepath.Join(bundle, "rootfs", l)); err != nil {
			return nil, err
		}
	}
	spec := exec.Command("runc", "spec")
	spec.Dir = bundle
	if out, err := spec.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %.300s", err, out)
	}
	file := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(file)
	var config map[string]any
	if err == nil {
		err = json.Unmarshal(text, &config)
	}
	if err != nil {
		return nil, err
	}
	process := config["process"].(map[string]any)
	process["terminal"], process["args"] = false, []string{"/usr/bin/echo", "."}
	config["mounts"] = append(config["mounts"].([]any), map[string]any{
		"destination": "/usr", "type": "bind", "source": "/usr", "options": []string{"rbind", "ro", "nosuid", "nodev"}})
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	return &contender{name: "runc", enforces: "mount, pid, net, ipc, uts namespaces; own root, masked /proc; control groups; three capabilities; no filter",
		command: []string{"runc", "run", "--bundle", bundle, "nacre-bench"}}, err
}
