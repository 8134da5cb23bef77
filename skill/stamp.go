package skill

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"nacre/fault"
)

// digestOf is how metadata names capabilities.yaml.
func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Stamp writes into a SKILL.md's metadata which capabilities.yaml goes with it. All
// other lines stay as they are.
func Stamp(main, capabilities []byte) ([]byte, error) {
	f, _, err := parseMain(Main, main)
	digest := digestOf(capabilities)
	if err != nil || f.Metadata[capabilitiesKey] == digest {
		return main, err
	}
	front, _, _ := SplitFront(string(main))
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(front), &root); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s", Main)
	}
	lines := strings.SplitAfter(string(main), "\n")
	end := lines[0][len("---"):]
	line := func(indent int) string {
		return fmt.Sprintf("%s%s: %q%s", strings.Repeat(" ", indent), capabilitiesKey, digest, end)
	}
	switch metadata := valueOf(root.Content[0], "metadata"); {
	case metadata == nil:
		lines = slices.Insert(lines, strings.Count(front, "\n"), "metadata:"+end, line(2))
	case metadata.Style&yaml.FlowStyle == 0 && len(metadata.Content) > 0:
		if old := valueOf(metadata, capabilitiesKey); old != nil {
			lines[old.Line-1] = line(metadata.Column - 1)
		} else {
			lines = slices.Insert(lines, metadata.Line-1, line(metadata.Column-1))
		}
	}
	stamped := []byte(strings.Join(lines, ""))
	if f, _, err := parseMain(Main, stamped); err != nil || f.Metadata[capabilitiesKey] != digest {
		return nil, fault.New(fault.Invalid, "%s: metadata: there is no place for %s", Main, capabilitiesKey).
			WithHint("write the keys of metadata on lines of their own, and among them: %s", strings.TrimSpace(line(0)))
	}
	return stamped, nil
}

// valueOf is the value of a mapping's key.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
