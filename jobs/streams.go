package jobs

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"nacre/fault"
)

// Connect copies what goes in or comes out at one of the job's descriptors, through our
// end of its pipe, which is the table's from then on.
func (j *Job) Connect(descriptor, end int) {
	_ = unix.SetNonblock(end, true) // or os.File could not wait with others, nor until a deadline
	if ours := os.NewFile(uintptr(end), "pipe"); descriptor == 0 {
		j.Feed(ours)
	} else {
		j.Drain(descriptor, ours)
	}
}

// Feed copies the job's input into its pipe, and closes that at the end of it.
func (j *Job) Feed(w *os.File) {
	if j.streams.In == nil {
		w.Close()
		return
	}
	go func() {
		_, _ = io.Copy(w, j.streams.In) // ends when either side does
		w.Close()
	}()
}

// Drain copies what comes out of the pipe of descriptor 1 or 2 to where it goes.
func (j *Job) Drain(descriptor int, r *os.File) {
	t, out, what := j.table, j.streams.Out, "output"
	if descriptor == 2 {
		out, what = j.streams.Err, "errors"
	}
	t.mu.Lock()
	t.outputs[r] = true
	t.mu.Unlock()
	j.copying.Go(func() {
		_, err := io.Copy(t.capped(cmp.Or(out, io.Discard)), &untilGone{r: r, rest: maxPipe})
		t.mu.Lock()
		defer t.mu.Unlock()
		if err = Lost(err); err != nil {
			j.lost = append(j.lost, fault.Wrap(fault.Exhausted, err, "not all of what the program wrote to its %s could be written", what).
				WithHint("make room where it goes, or send it elsewhere, and run it again"))
		}
		delete(t.outputs, r)
		r.Close()
	})
}

// Copied returns once all of the job's output has been, and why where not all could be.
func (j *Job) Copied() error {
	j.copying.Wait()
	return errors.Join(j.lost...)
}

// Lost is an error of a write, unless it is that whoever reads has gone away: nobody is
// without what they wanted then.
func Lost(err error) error {
	number, ofSystem := errors.AsType[unix.Errno](err)
	if !ofSystem || slices.Contains([]unix.Errno{unix.EPIPE, unix.ECONNRESET}, number) {
		return nil
	}
	return err
}

// Hurry lets no reader wait for more than what has been written.
func (t *Table) Hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for r := range t.outputs {
		_ = r.SetReadDeadline(time.Now())
	}
}

// maxPipe is the most that a pipe holds: fs.pipe-max-size, unless raised.
const maxPipe = 1 << 20

// untilGone reads a pipe to its end, or, from its deadline on, as much as it
// can hold. The deadline is set once the sandbox is gone: an agent may have
// handed its end of the pipe to somebody who never closes it, through a socket
// in a folder that it shares with another sandbox.
type untilGone struct {
	r    *os.File
	rest int
}

func (u *untilGone) Read(p []byte) (n int, err error) {
	n, err = u.r.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	raw, err := u.r.SyscallConn()
	if err != nil {
		return 0, err
	}
	p = p[:min(len(p), u.rest)]
	if e := raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), p) }); e != nil || err != nil || n <= 0 {
		return 0, io.EOF
	}
	u.rest -= n
	return n, nil
}

// terminal takes over the master of the job's terminal.
func (j *Job) terminal(fd int) {
	t := j.table
	j.master = os.NewFile(uintptr(fd), "terminal")
	j.copying.Go(func() {
		defer j.master.Close()
		if j.streams.Terminal != nil {
			j.streams.Terminal(t.alive, j.master, t.capped)
			return
		}
		if j.streams.In != nil {
			go func() { _, _ = io.Copy(j.master, j.streams.In) }()
		}
		_, _ = io.Copy(t.capped(cmp.Or(j.streams.Out, io.Discard)), j.master)
	})
}

// capped is a writer's place for what is counted on its way.
func (t *Table) capped(out io.Writer) io.Writer { return counted{t, out} }

type counted struct {
	table *Table
	out   io.Writer
}

func (c counted) Write(p []byte) (int, error) { return c.table.write(c.out, p) }
