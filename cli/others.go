package cli

import (
	"path/filepath"
	"slices"
	"strings"
)

// others are patterns of blocked names for all that a folder holds, now or later, but
// for some names: for each beginning of one, what does not go on as one does. A name
// that ends with * stands for all that begin so. The names are of lower-case letters,
// digits and hyphens.
func others(folder string, but []string) (patterns []string) {
	folder = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(filepath.Clean(folder))
	if len(but) == 0 {
		return []string{folder}
	}
	next := map[string]string{} // what may follow a beginning
	for _, name := range but {
		for i := range len(name) {
			next[name[:i]] += name[i : i+1]
		}
		next[name] += ""
	}
	for begin, follow := range next {
		switch {
		case strings.HasSuffix(begin, "*"), strings.Contains(follow, "*"):
			continue
		case follow == "":
			patterns = append(patterns, folder+"/"+begin+"?*")
		default:
			patterns = append(patterns, folder+"/"+begin+"[^"+strings.ReplaceAll(follow, "-", `\-`)+"]*")
		}
		if begin != "" && !slices.Contains(but, begin) {
			patterns = append(patterns, folder+"/"+begin)
		}
	}
	slices.Sort(patterns)
	return patterns
}
