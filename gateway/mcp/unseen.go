package mcp

import (
	"fmt"
	"maps"
	"slices"

	"nacre/unseen"
)

// Unseen is the first character in the texts of a value that nobody sees, by which a
// model could be told what its owner does not read; empty: there is none.
func Unseen(v any) string {
	switch v := v.(type) {
	case string:
		for _, c := range unseen.In(v) {
			return fmt.Sprintf("%U", c.Rune)
		}
	case []any:
		for _, item := range v {
			if found := Unseen(item); found != "" {
				return found
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if found := Unseen(name) + Unseen(v[name]); found != "" {
				return found
			}
		}
	}
	return ""
}
