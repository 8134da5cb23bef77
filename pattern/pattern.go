// Package pattern has regular expressions that are read when they are first needed.
// Programs start often, need few of theirs, and those that stay would keep them all.
package pattern

import (
	"regexp"
	"sync"
)

// Of is the regular expression of a text, which has to be one.
func Of(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
