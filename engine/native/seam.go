//go:build !nacrefault

package native

import "context"

// take takes one of the steps of a start. Built with the tag nacrefault it
// breaks the layer that a test names (test/faults).
func (b *box) take(ctx context.Context, _ int, step func(context.Context) error) error {
	return step(ctx)
}
