package native

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// connect makes the pipes between a job and its streams, and returns the ends
// that the job gets. The agent never holds a descriptor of the host's: a pipe
// carries bytes and nothing else.
func (b *box) connect(j *job) ([]*os.File, error) {
	if j.streams.TTY {
		return nil, nil
	}
	in, err := feed(j.streams.In)
	out, outErr := b.drain(j, j.streams.Out)
	errs, errsErr := b.drain(j, j.streams.Err)
	return []*os.File{in, out, errs}, errors.Join(err, outErr, errsErr)
}

// feed copies a reader into a pipe and returns the pipe's end to read from.
func feed(in io.Reader) (*os.File, error) {
	if in == nil {
		return os.Open(os.DevNull)
	}
	r, w, err := os.Pipe()
	if err == nil {
		go func() {
			_, _ = io.Copy(w, in) // ends when either side does
			w.Close()
		}()
	}
	return r, err
}

// drain copies what comes out of a pipe to a writer, within the plan's limit,
// and returns the pipe's end to write to.
func (b *box) drain(j *job, out io.Writer) (*os.File, error) {
	if out == nil {
		out = io.Discard
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.outputs[r] = true
	b.mu.Unlock()
	j.copying.Go(func() {
		_, _ = io.Copy(capped{b, out}, &untilGone{r: r, rest: maxPipe})
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.outputs, r)
		r.Close()
	})
	return w, nil
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

// hurry lets no reader wait for more than what has been written.
func (b *box) hurry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range b.outputs {
		_ = r.SetReadDeadline(time.Now())
	}
	time.AfterFunc(lastScreen, b.leave)
}

// lastScreen is how long a terminal may take to show what it still holds.
const lastScreen = 500 * time.Millisecond

// capped passes output on until the plan's limit over all streams is reached;
// then the sandbox is ended.
type capped struct {
	b   *box
	out io.Writer
}

func (c capped) Write(p []byte) (int, error) {
	c.b.mu.Lock()
	room := c.b.plan.Limits.Output - c.b.output
	n := min(int64(len(p)), max(room, 0))
	c.b.output += n
	c.b.mu.Unlock()
	if n > 0 {
		if _, err := c.out.Write(p[:n]); err != nil {
			return 0, err
		}
	}
	if n < int64(len(p)) {
		c.b.end("output-limit")
	}
	return len(p), nil // swallow the rest, so that nothing blocks while it dies
}

// terminal takes over the master of a job's terminal.
func (b *box) terminal(j *job, fd int) {
	j.master = os.NewFile(uintptr(fd), "terminal")
	j.copying.Go(func() {
		defer j.master.Close()
		if j.streams.Terminal != nil {
			j.streams.Terminal(b.alive, j.master, func(w io.Writer) io.Writer { return capped{b, w} })
			return
		}
		if j.streams.In != nil {
			go func() { _, _ = io.Copy(j.master, j.streams.In) }()
		}
		_, _ = io.Copy(capped{b, j.streams.Out}, j.master)
	})
}
