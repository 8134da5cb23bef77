//go:build !nacrefault

package build

// take takes one of Main's steps. Built with the tag nacrefault it breaks the
// layer that a test names (test/faults).
func (b *builder) take(s step) error { return s.take() }

// take takes a step.
func (s step) take() error { return s.do() }
