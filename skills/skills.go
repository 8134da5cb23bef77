// Package skills holds the skills that come with Nacre. They are data: no more is
// granted to them than to anybody's.
package skills

import "embed"

// Files are the skills: harness/NAME.
//
//go:embed harness
var Files embed.FS
