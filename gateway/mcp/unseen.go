package mcp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Unseen is the first character in the texts of a value that nobody sees, by which a
// model could be told what its owner does not read; empty: there is none. What joins
// letters and emoji in honest texts does not count.
func Unseen(v any) string {
	switch v := v.(type) {
	case string:
		if i := strings.IndexFunc(v, unseen); i >= 0 {
			for _, r := range v[i:] {
				return fmt.Sprintf("%U", r)
			}
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

func unseen(r rune) bool {
	switch r {
	case '\t', '\n', '\r', '\u200c', '\u200d', '\ufe0e', '\ufe0f':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) || r == '\u2800'
}
