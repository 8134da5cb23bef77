package seccomp

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// has tells whether a section names a call.
func has(name, call string) bool {
	return slices.ContainsFunc(section(name), func(f family) bool { return slices.Contains(f.names, call) })
}

// Digest is the SHA-256 of Bytes, in the form "sha256:…".
func (f Filter) Digest() string {
	sum := sha256.Sum256(f.Bytes())
	return "sha256:" + hex.EncodeToString(sum[:])
}
