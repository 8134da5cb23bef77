//go:build !nacrefault

package sandbox

// cloneFlags are the namespaces that a process gets; built with the tag
// nacrefault, without the one that a test leaves out (test/faults).
func cloneFlags() uint64 { return namespaces }
