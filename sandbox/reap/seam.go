//go:build !nacrefault

package reap

// dumpable is no, but for a test that wants init broken (test/faults).
func dumpable() uintptr { return 0 }
