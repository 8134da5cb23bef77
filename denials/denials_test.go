package denials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/sandbox/notify"
	"nacre/seccomp"
)

// recorder keeps events, or fails.
type recorder struct {
	mu     sync.Mutex
	events []nacre.Event
	fail   error
}

func (r *recorder) Record(_ context.Context, e nacre.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return r.fail
}

// Numbers of amd64.
const mount, bpf, socket, ptrace = 165, 321, 41, 101

func tally(t *testing.T, r *recorder) *Tally {
	t.Helper()
	o := seccomp.Options{Arch: seccomp.AMD64, Loopback: true}
	table, err := seccomp.NewTable(o)
	if err != nil {
		t.Fatal(err)
	}
	return New(o, table.Filter(), r, nacre.Event{Sandbox: "box", Subject: "agent"})
}

func call(number uint32, program string) notify.Call {
	return notify.Call{Number: number, Program: program}
}

func TestCounts(t *testing.T) {
	r := &recorder{}
	tl := tally(t, r)
	for range 3 {
		tl.Denied(call(mount, "/usr/bin/mount"))
	}
	tl.Denied(call(mount, "/usr/bin/other"))
	tl.Denied(call(bpf, ""))
	if err := tl.Close(); err != nil {
		t.Fatal(err)
	}
	list := tl.List()
	if len(list) != 2 || list[0].Subject != "mount" || list[0].Count != 4 || fmt.Sprint(list[0].Programs) != "[/usr/bin/mount /usr/bin/other]" ||
		list[0].Remedy != "syscalls: [nested-sandbox]" || list[0].More || list[1].Count != 1 || fmt.Sprint(list[1].Programs) != "[unknown]" {
		t.Errorf("%+v", list)
	}
	if len(r.events) != 4 {
		t.Fatalf("%+v", r.events)
	}
	first, last := r.events[0], r.events[3]
	if first.Kind != "syscall.denied" || first.Sandbox != "box" || first.Subject != "agent" || first.Rule != "syscalls.base.mount" ||
		first.Reason != "mount, by /usr/bin/mount: changes what the sandbox sees" || first.Detail["remedy"] != "syscalls: [nested-sandbox]" {
		t.Errorf("%+v", first)
	}
	if last.Kind != "syscall.denials" || last.Detail["mount (syscalls: [nested-sandbox])"] != "4" || last.Detail["bpf"] != "1" || last.Reason != "5 system calls denied so far" {
		t.Errorf("%+v", last)
	}
}

// TestNothingTwice: sums are recorded only where they say more.
func TestNothingTwice(t *testing.T) {
	r := &recorder{}
	tl := tally(t, r)
	tl.Denied(call(bpf, "/x"))
	if err := tl.Close(); err != nil || len(r.events) != 1 {
		t.Errorf("%v, %+v", err, r.events)
	}
	r = &recorder{}
	if err := tally(t, r).Close(); err != nil || len(r.events) != 0 {
		t.Errorf("nothing denied: %v, %+v", err, r.events)
	}
}

// TestBounds: whatever the names and calls, little is kept and little written.
func TestBounds(t *testing.T) {
	r := &recorder{}
	tl := tally(t, r)
	const calls = 20_000
	for i := range uint32(calls) {
		c := call([]uint32{mount, bpf, ptrace, 0x40000000 + i, ^i, i % 600}[i%6], strings.Repeat("x", 200)+strconv.Itoa(int(i)))
		tl.look(c)
		tl.Errno(c)
		tl.Denied(c)
	}
	if err := tl.Close(); err != nil {
		t.Fatal(err)
	}
	total, programs := uint64(0), 0
	for _, d := range tl.List() {
		total += d.Count
		programs += len(d.Programs)
	}
	if total != calls || programs > maxPairs || len(tl.by) > 1000 || len(tl.seen) > 1000 {
		t.Errorf("%d counted, %d programs kept, %d and %d kinds", total, programs, len(tl.by), len(tl.seen))
	}
	if len(r.events) > maxPairs+2 {
		t.Errorf("%d records", len(r.events))
	}
	if last := r.events[len(r.events)-1]; len(last.Detail) > maxSums+1 || last.Detail["others"] == "" {
		t.Errorf("the sums have %d lines", len(last.Detail))
	}
}

// TestErrno: the answer is the filter's own, and never "success".
func TestErrno(t *testing.T) {
	tl := tally(t, &recorder{})
	for _, c := range []struct {
		call notify.Call
		want unix.Errno
	}{
		{call(mount, ""), unix.EPERM},
		{notify.Call{Number: socket, Args: [6]uint64{unix.AF_VSOCK, 1}}, unix.EAFNOSUPPORT},
		{notify.Call{Number: socket, Args: [6]uint64{unix.AF_INET, unix.SOCK_RAW}}, unix.EPROTONOSUPPORT},
		{call(0x40000027, ""), unix.EPERM},
		{call(0, ""), unix.EPERM}, // read: permitted, so it cannot come here
	} {
		if got := tl.Errno(c.call); got != c.want {
			t.Errorf("%+v: %v, want %v", c.call, got, c.want)
		}
	}
}

// TestLooks: a new call is always looked at, a flood seldom.
func TestLooks(t *testing.T) {
	tl := tally(t, &recorder{})
	looked := 0
	for range 10 * looks {
		if tl.look(call(bpf, "")) {
			looked++
		}
	}
	if looked < looks || looked >= 10*looks { // a second may pass meanwhile
		t.Errorf("looked %d times", looked)
	}
	if !tl.look(call(mount, "")) {
		t.Error("a call not seen before is not looked at")
	}
}

// TestRecordFails: what cannot be recorded is told at the end.
func TestRecordFails(t *testing.T) {
	full := errors.New("full")
	tl := tally(t, &recorder{fail: full})
	tl.Denied(call(bpf, "/x"))
	if err := tl.Close(); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

// TestSums: while it runs, sums are recorded at a tick, if there is news.
func TestSums(t *testing.T) {
	r := &recorder{}
	tl := tally(t, r)
	tick := make(chan time.Time)
	tl.log.begin.Do(func() { go tl.log.run(tick) })
	for range 5 {
		tl.Denied(call(bpf, "/x"))
	}
	for range 3 {
		tick <- time.Time{}
	}
	for range 2 {
		tl.Denied(call(bpf, "/x"))
		tl.Denied(call(bpf, "/x"))
		tick <- time.Time{}
	}
	if err := tl.Close(); err != nil {
		t.Fatal(err)
	}
	var sums []string
	for _, e := range r.events {
		if e.Kind == "syscall.denials" {
			sums = append(sums, e.Detail["bpf"])
		}
	}
	// A sum may come while the next are counted, but none without news.
	if !slices.IsSorted(sums) || len(slices.Compact(slices.Clone(sums))) != len(sums) || sums[len(sums)-1] != "9" {
		t.Errorf("sums %v", sums)
	}
}
