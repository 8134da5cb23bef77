//go:build !nacrefault

package native

import "context"

// seam takes one of the steps of a start. Built with the tag nacrefault it
// breaks the layer that a test names (test/faults).
func (b *box) seam(ctx context.Context, step func(context.Context) error) error {
	return step(ctx)
}
