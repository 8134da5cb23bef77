package boundary

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
	if tried < 29 {
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
	lax := func(o attack.Outward) (attack.Command, error) {
		entries := fmt.Sprintf("network: [{host: %s, as: %s, ports: [%d, %d], methods: [GET, HEAD, POST, PUT, DELETE, TRACE, OPTIONS], upgrade: [websocket]}]\n", o.Address, o.Host, o.TLSPort, o.RawPort)
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
	seen := []string{"egress.methods", "egress.path-tricks", "egress.pipelining", "egress.upgrade", "egress.own-key", "egress.smuggling"}
	report := attacktest.Run(t, attack.Options{Name: "lax", Command: command, Network: lax, Inside: inside, Program: filepath.Join(bin, "nacre-attack"), Probes: seen})
	for _, id := range seen {
		if e, _ := report.Entry(id); e.Verdict != wire.Escaped || !e.Proven {
			t.Errorf("%s is %q: %s", id, e.Verdict, e.Evidence)
		}
	}
}
