package acp

import (
	"io"
	"strings"
	"sync"
	"testing"
)

// TestBothAtOnce: an agent that answers before anything was asked of it meets the
// editor's first request, without a race.
func TestBothAtOnce(t *testing.T) {
	b := &Bridge{Editor: io.Discard, Agent: io.Discard}
	var both sync.WaitGroup
	for _, says := range []func(io.Reader) error{b.FromEditor, b.FromAgent} {
		both.Go(func() {
			if err := says(strings.NewReader(`{"jsonrpc":"2.0","id":1,"result":{}}` + "\n" + `{"jsonrpc":"2.0","id":1,"method":"session/request_permission"}` + "\n")); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
}
