package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"nacre/attack"
	"nacre/attack/wire"
	"nacre/fault"
)

// networked makes a sandbox that is granted what the judge serves: by a manifest,
// a policy and a vault of its own, in a home that vanishes with the judge.
func (app *App) networked(flags []string) func(attack.Outward) (attack.Command, error) {
	return func(o attack.Outward) (attack.Command, error) {
		entries := fmt.Sprintf(`network:
- {host: %s, as: %s, ports: [%d, %d], methods: [GET, HEAD, POST], paths: [/open/**]}
- {host: %s, as: %s, ports: [%d], methods: [GET], paths: [/chat/**], upgrade: [websocket]}
- {host: %s, ports: [%d], methods: [GET, HEAD, POST], paths: [/open/**]}
- {host: %s, as: %s, ports: [%d], methods: [GET, HEAD, POST], paths: [/open/**]}
secrets: [{name: judge, hosts: [%s], placeholder: ["%s=%s****************"]}]
`, o.Address, o.Host, o.TLSPort, o.RawPort, o.Address, o.Host, o.RawPort, o.Rebound, o.TLSPort, o.Address, o.Second, o.RawPort, o.Host, wire.PlaceholderVariable, wire.PlaceholderPrefix)
		manifest, policy := filepath.Join(o.Folder, "agent.yaml"), filepath.Join(o.Folder, "policy.yaml")
		upstream := fmt.Sprintf("upstream: {authorities: [%s], resolvers: [%q]}\n", o.Authority, o.Resolver)
		for path, text := range map[string]string{manifest: "version: 1\nname: attacker\n" + entries, policy: "version: 1\n" + upstream + entries} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return nil, err
			}
		}
		home := []string{"env", "-u", "XDG_CONFIG_HOME", "-u", "XDG_STATE_HOME", "HOME=" + o.Folder, app.Program}
		keep := append(home[:len(home):len(home)], "secret", "set", "judge")
		set := exec.Command(keep[0], keep[1:]...)
		set.Stdin = strings.NewReader(o.Secret)
		if out, err := set.CombinedOutput(); err != nil {
			return nil, fault.Wrap(fault.Command, err, "the judge's credential cannot be kept: %s", out)
		}
		return func(probe []string, folder string) []string {
			full := append(home[:len(home):len(home)], flags...)
			full = append(full, "--policy", policy, "--agent", manifest, "--files", folder+":write@"+attackFolder, "--")
			return append(full, probe...)
		}, nil
	}
}
