package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nacre/manifest"
	"nacre/remedy"
)

// askLine is one thing that a manifest asks for, as its YAML would say it, on a line.
func askLine(n manifest.Named) string {
	parts := []string{remedy.Quote(n.Name)}
	for _, key := range slices.Sorted(maps.Keys(n.Lists)) {
		var items []string
		for _, i := range n.Lists[key] {
			items = append(items, remedy.Quote(i))
		}
		if items != nil {
			parts = append(parts, key+": ["+strings.Join(items, ", ")+"]")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(n.Amounts)) {
		if n.Amounts[key] > 0 {
			parts = append(parts, fmt.Sprint(key, ": ", n.Amounts[key]))
		}
	}
	return string(n.Capability) + ": " + strings.Join(parts, ", ")
}
