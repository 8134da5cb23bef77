package boundary

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nacre/attack"
	"nacre/attack/attacktest"
	"nacre/attack/wire"
	"nacre/test/programs"
)

// TestEgress: with a network of one host, nothing gets out that is not granted, and
// nothing else gives way either, as root and as a plain user.
func TestEgress(t *testing.T) {
	probes := []string{"egress.*", "network.*", "afterwards.*", "information.*"}
	args := append(append([]string{"attack", "--json", "--network"}, programs.Tiers()...), probes...)
	cmd := exec.Command(filepath.Join(bin, "nacre"), args...)
	var errs strings.Builder
	cmd.Env, cmd.Stderr = []string{"HOME=" + programs.Home(t), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, &errs
	out, _ := cmd.Output() // its exit code is in what it says
	var report attack.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs.String())
	}
	attacktest.Held(t, report, nil)
	tried := 0
	for _, e := range report.Entries {
		if e.Class == "egress" && e.Verdict == wire.Contained {
			tried++
		}
	}
	if tried < 30 {
		t.Errorf("only %d probes of class egress were contained: the attack did not take place", tried)
	}
}

// TestEgressCanFail: the judge sees what gets out, where more is granted than the
// probes are told of.
func TestEgressCanFail(t *testing.T) {
	const inside = "/work/target"
	command := func(probe []string, folder string) []string {
		return append(append([]string{filepath.Join(bin, "nacre"), "run", "-q"}, programs.Tiers()...), append([]string{"--files", folder + ":write@" + inside, "--"}, probe...)...)
	}
	t.Setenv("HOME", programs.Home(t))
	for name, c := range map[string]struct {
		granted string
		seen    []string
	}{
		"looked into": {"methods: [GET, HEAD, POST, PUT, DELETE, TRACE, OPTIONS], upgrade: [websocket]", []string{"egress.methods", "egress.path-tricks", "egress.pipelining", "egress.upgrade", "egress.own-key", "egress.smuggling"}},
		"unread":      {"tls: opaque", []string{"egress.frames"}},
		"bound twice": {"methods: [GET, HEAD, POST]", []string{"egress.placeholder"}},
	} {
		lax := func(o attack.Outward) (attack.Command, error) {
			entries := fmt.Sprintf("network:\n- {host: %s, as: %s, ports: [%d, %d], %s}\n", o.Address, o.Host, o.TLSPort, o.RawPort, c.granted)
			if name == "bound twice" { // the credential goes to a host that it is not for
				entries += fmt.Sprintf("- {host: %s, as: %s, ports: [%d], %s}\nsecrets: [{name: judge, hosts: [%s, %s], placeholder: [\"%s=%s****************\"]}]\n",
					o.Address, o.Second, o.RawPort, c.granted, o.Host, o.Second, wire.PlaceholderVariable, wire.PlaceholderPrefix)
				set := exec.Command(filepath.Join(bin, "nacre"), "secret", "set", "judge")
				set.Stdin = strings.NewReader(o.Secret)
				if out, err := set.CombinedOutput(); err != nil {
					return nil, fmt.Errorf("%w: %s", err, out)
				}
			}
			manifest, policy := filepath.Join(o.Folder, "agent.yaml"), filepath.Join(o.Folder, "policy.yaml")
			for path, text := range map[string]string{manifest: "version: 1\nname: attacker\n" + entries, policy: fmt.Sprintf("version: 1\nupstream: {authorities: [%s], resolvers: [%q]}\n", o.Authority, o.Resolver) + entries} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					return nil, err
				}
			}
			return func(probe []string, folder string) []string {
				line := command(probe, folder)
				return slices.Insert(line, 3, "--policy", policy, "--agent", manifest)
			}, nil
		}
		report := attacktest.Run(t, attack.Options{Name: "lax, " + name, Command: command, Network: lax, Inside: inside, Program: filepath.Join(bin, "nacre-attack"), Probes: c.seen})
		for _, id := range c.seen {
			if e, _ := report.Entry(id); e.Verdict != wire.Escaped || !e.Proven {
				t.Errorf("%s is %q: %s", id, e.Verdict, e.Evidence)
			}
		}
	}
}

// TestVaultLocked: where a secret cannot be had, nothing runs, and it is said why.
func TestVaultLocked(t *testing.T) {
	o, port := newOwner(t), server(t)
	entry := "network: [{host: 127.0.0.1, as: api.test, scheme: http, ports: [" + port + "]}]\nsecrets: [{name: token, hosts: [api.test]}]\n"
	manifest := o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [echo, it ran]\n"+entry)
	policy := o.write("p/policy.yaml", "version: 1\n"+entry)
	set := exec.Command(filepath.Join(bin, "nacre"), "secret", "set", "token")
	set.Env, set.Stdin = []string{"HOME=" + o.home}, strings.NewReader("canary-of-a-secret")
	if out, err := set.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	vault := filepath.Join(o.home, ".local/state/nacre/vault")
	key := filepath.Join(vault, "key.txt")
	for _, step := range []struct {
		name string
		lock func() error
	}{
		{"a passphrase and nobody to ask", func() error { return os.Rename(key, filepath.Join(vault, "key.age")) }},
		{"no key", func() error { return os.Remove(filepath.Join(vault, "key.age")) }},
		{"a key that is none", func() error { return os.WriteFile(key, []byte("AGE-SECRET-KEY-1\n"), 0o600) }},
	} {
		if err := step.lock(); err != nil {
			t.Fatal(err)
		}
		out, code := o.nacre("run", "--policy", policy, "--agent", manifest)
		if code != refused || strings.Contains(out, "it ran") || !strings.Contains(out, "error:") || strings.Contains(out, "canary-of") {
			t.Errorf("%s: %d %s", step.name, code, out)
		}
	}
}

// TestNetworkLost: a run whose gateway dies says so, and goes on.
func TestNetworkLost(t *testing.T) {
	programs.Needs(t, "curl")
	o, port := newOwner(t), server(t)
	entry := "network: [{host: 127.0.0.1, as: api.test, scheme: http, ports: [" + port + "]}]\n"
	manifest := o.write("a/agent.yaml", "version: 1\nname: a\ncommand: [sh, -c, 'curl -sSN http://api.test:"+port+"/stream; echo it goes on; cat; exit 7']\n"+entry)
	policy := o.write("p/policy.yaml", "version: 1\n"+entry)
	cmd := exec.Command(filepath.Join(bin, "nacre"), append(append([]string{"run", "-q"}, programs.Tiers()...), "--policy", policy, "--agent", manifest)...)
	cmd.Env = []string{"HOME=" + o.home, "PATH=" + os.Getenv("PATH")}
	out := &collected{}
	cmd.Stdout, cmd.Stderr = out, out
	goOn, err := cmd.StdinPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	until(t, "still there", out.String)
	pid := childNamed(t, cmd.Process.Pid, "nacre-gateway")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the sandbox has no network any more", out.String) // a run that ends first has lost nothing
	goOn.Close()
	_ = cmd.Wait()
	if text := out.String(); cmd.ProcessState.ExitCode() != 7 || !strings.Contains(text, "it goes on") || !strings.Contains(text, "the sandbox has no network any more") {
		t.Errorf("ended with %d:\n%s", cmd.ProcessState.ExitCode(), text)
	}
}

// childNamed finds a child of a process by its name.
func childNamed(t *testing.T, parent int, name string) int {
	t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, path := range tasks {
		children, _ := os.ReadFile(path)
		for pid := range strings.FieldsSeq(string(children)) {
			if comm, _ := os.ReadFile("/proc/" + pid + "/comm"); strings.TrimSpace(string(comm)) == name {
				n, _ := strconv.Atoi(pid)
				return n
			}
		}
	}
	t.Skip("needs /proc/PID/task/TID/children")
	return 0
}
