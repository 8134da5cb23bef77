//go:build !nacrefault

package sandbox

// born are the namespaces that a process gets; built with the tag nacrefault,
// without the one that a test leaves out (test/faults).
func born() uintptr { return namespaces }
