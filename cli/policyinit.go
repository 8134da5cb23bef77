package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"nacre/doctor"
	"nacre/fault"
	"nacre/load"
	"nacre/policy"
)

// starter is the policy that init writes. It allows nothing.
const starter = `# What agents may be granted on this machine. What is not listed is denied;
# what is listed is granted only where a manifest asks for it. See:
#   nacre policy check      is this file fine?
#   nacre policy show       what it allows, rule by rule
#   nacre policy allow      adds a rule
#   nacre schema policy     all that can be written here
version: 1

# Folders that may be granted, each with the most that may be done there.
# Names such as .ssh, .env and credentials stay masked in all of them.
# files:
#   roots:
#     - {path: ~/projects, access: write, reason: my work}
#     - {path: ~/Documents/reference, access: read}

# Variables whose value of yours may be passed in.
# environment: [TERM, LANG, TZ]

# The most that an agent may use, where it asks for more than the defaults.
# limits: {memory: 4GiB, time: 8h}

# Rules for one agent only, known by the path of its manifest.
# agents:
#   - manifest: ~/agents/helper/agent.yaml
#     files: {roots: [{path: ~/notes, access: write}]}

# What nobody is ever granted, whatever else allows it.
# deny: {files: [~/taxes]}
`

func (o *policyOptions) init(ctx context.Context) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	path, err := o.path(who)
	if err != nil {
		return err
	}
	text := starter + lackingLines(doctor.Checks(o.app.Program))
	if _, err := policy.Parse(path, []byte(text)); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot make the policy's folder")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fault.New(fault.Conflict, "%s exists already", path).WithHint("nacre policy show prints what it says; move it away to begin anew")
	}
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write the policy")
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
		return fault.Wrap(fault.Exhausted, err, "cannot write the policy")
	}
	if _, err := load.Policy(path, who.uid, nil); err != nil { // it may lie where others can write
		_ = os.Remove(path)
		return err
	}
	_, err = fmt.Fprintf(o.app.Out, "%s: written; it allows nothing yet\n", path)
	return err
}

// lackingLines are the lower tiers that this machine would need, as comments.
func lackingLines(checks []doctor.Check) string {
	var b strings.Builder
	for _, c := range checks {
		if !c.OK && c.Tier != "" {
			fmt.Fprintf(&b, "#   - %s  # %s: %s\n", c.Tier, oneLine(c.Name), oneLine(c.Found))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n# This machine lacks layers. To go on without them, accept each by its name\n" +
		"# (nacre doctor says how to mend it instead).\n# accept:\n" + b.String()
}
