package terminal

import (
	"bytes"
	"io"
	"sync"
	"testing"
)

func TestCap(t *testing.T) {
	calls := make(chan struct{}, 10)
	c := NewCap(10, func() { calls <- struct{}{} })
	var out, err bytes.Buffer
	o, e := c.Limit(&out), c.Limit(&err)
	for _, w := range []struct {
		w io.Writer
		s string
	}{{o, "12345"}, {e, "678"}, {o, "90"}} {
		if n, err := io.WriteString(w.w, w.s); n != len(w.s) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", w.s, n, err)
		}
	}
	select {
	case <-calls:
		t.Fatal("exceeded is called at the cap, not beyond it")
	default:
	}
	for range 3 {
		if n, err := o.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatalf("beyond the cap: %d, %v", n, err)
		}
	}
	<-calls
	if out.String() != "1234590" || err.String() != "678" || c.Written() != 10 {
		t.Errorf("%q, %q, %d", &out, &err, c.Written())
	}
}

func TestCapCutsWithinAWrite(t *testing.T) {
	done := make(chan struct{})
	var b bytes.Buffer
	c := NewCap(4, func() { close(done) })
	c.Limit(&b).Write([]byte("123456"))
	<-done
	if b.String() != "1234" {
		t.Errorf("%q", &b)
	}
}

func TestZeroCapPassesNothing(t *testing.T) {
	var b bytes.Buffer
	var c Cap
	if n, err := c.Limit(&b).Write([]byte("x")); n != 1 || err != nil || b.Len() != 0 || c.Written() != 0 {
		t.Error(n, err, b.Len(), c.Written())
	}
}

func TestCapReportsErrors(t *testing.T) {
	for _, max := range []int64{1, 100} {
		if _, err := NewCap(max, nil).Limit(failing{}).Write([]byte("xyz")); err == nil {
			t.Errorf("cap %d: an error is swallowed", max)
		}
	}
}

func TestCapOfManyWriters(t *testing.T) {
	done := make(chan struct{}) // closed twice, it would panic
	c := NewCap(5000, func() { close(done) })
	var group sync.WaitGroup
	buffers := make([]bytes.Buffer, 8)
	for i := range buffers {
		group.Go(func() {
			for range 100 {
				c.Limit(&buffers[i]).Write([]byte("0123456789"))
			}
		})
	}
	group.Wait()
	<-done
	total := 0
	for i := range buffers {
		total += buffers[i].Len()
	}
	if total != 5000 {
		t.Errorf("%d bytes of 8000 pass under a cap of 5000", total)
	}
}
