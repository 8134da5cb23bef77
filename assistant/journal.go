package assistant

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"nacre/fault"
)

// Journal keeps a conversation in a file, a line for each word, written before
// anything is done about it. Who was killed goes on from there.
type Journal struct {
	mu       sync.Mutex
	file     *os.File
	messages []Message
	used     Usage
	results  map[string]Result // of the calls of the last message
}

// entry is one line.
type entry struct {
	Message *Message `json:"message,omitempty"`
	Used    *Usage   `json:"used,omitempty"`
	Result  *Result  `json:"result,omitempty"`
	// Compact replaces all messages before it.
	Compact []Message `json:"compact,omitempty"`
	End     bool      `json:"end,omitempty"`
}

const (
	maxLine    = 16 << 20
	maxJournal = 256 << 20
)

// OpenJournal opens a file and reads what it holds. A last line that was not
// written to its end is dropped. Errors: Invalid, NotFound, Conflict where
// another process has it open.
func OpenJournal(path string, resume bool) (*Journal, error) {
	flags := os.O_RDWR | os.O_CREATE | os.O_EXCL
	if resume {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(path, flags, 0o600)
	switch {
	case errors.Is(err, os.ErrNotExist) && resume:
		return nil, fault.New(fault.NotFound, "there is no conversation to go on with").WithHint("%s does not exist; begin one without --resume", path)
	case err != nil:
		return nil, fault.Wrap(fault.Invalid, err, "the journal")
	}
	j := &Journal{file: f}
	if err := errors.Join(lock(f), j.read(io.LimitReader(f, maxJournal))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }

// read replays what was written, and leaves the file at the end of that.
func (j *Journal) read(from io.Reader) error {
	whole := int64(0)
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil || len(line) > maxLine {
			break
		}
		var e entry
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			return fault.Wrap(fault.Invalid, err, "the journal, after %d bytes", whole).WithHint("begin a new conversation without --resume")
		}
		if err := j.replay(e); err != nil {
			return err
		}
		whole += int64(len(line))
	}
	if j.file == nil {
		return nil
	}
	if err := j.file.Truncate(whole); err != nil {
		return fault.Wrap(fault.Invalid, err, "the journal")
	}
	_, err := j.file.Seek(whole, io.SeekStart)
	return err
}

// replay takes one line into the conversation. The results of a message's calls
// become the next message when the last of them is there.
func (j *Journal) replay(e entry) error {
	switch {
	case e.Compact != nil:
		if !whole(e.Compact) {
			return fault.New(fault.Invalid, "the journal has calls without results, or results without calls")
		}
		j.messages, j.results = e.Compact, nil
	case e.Message != nil:
		if len(j.open()) > 0 || len(e.Message.Results) > 0 {
			return fault.New(fault.Invalid, "the journal has a message before the results of the last one's calls, or results in a message")
		}
		j.messages, j.results = append(j.messages, *e.Message), nil
	case e.Result != nil:
		j.keep(*e.Result)
	}
	if e.Used != nil {
		j.used.add(*e.Used)
	}
	return nil
}

// whole tells whether the results of each message's calls are in the next one, which no
// model goes on without; the last one's may be to come.
func whole(messages []Message) bool {
	var open []Call
	for _, m := range messages {
		if !slices.EqualFunc(open, m.Results, func(c Call, r Result) bool { return c.ID == r.ID }) {
			return false
		}
		open = m.Calls
	}
	return true
}

// keep keeps the result of a call.
func (j *Journal) keep(r Result) {
	open := j.open()
	if len(open) == 0 {
		return
	}
	if j.results == nil {
		j.results = map[string]Result{}
	}
	j.results[r.ID] = r
	m := Message{}
	for _, c := range open {
		r, there := j.results[c.ID]
		if !there {
			return
		}
		m.Results = append(m.Results, r)
	}
	j.messages, j.results = append(j.messages, m), nil
}

// open are the calls of the last message, if they have no results.
func (j *Journal) open() []Call {
	if len(j.messages) == 0 {
		return nil
	}
	return j.messages[len(j.messages)-1].Calls
}

// resultOf is what is known of a call that was begun before.
func (j *Journal) resultOf(c Call) Result {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r, known := j.results[c.ID]; known {
		return r
	}
	return Result{ID: c.ID, Name: c.Name, Failed: true,
		Text: "The program was stopped while this ran. It may have been done, in part, or not at all: look before you do it again."}
}

// write adds a line, on the disk when it returns.
func (j *Journal) write(e entry) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the journal")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append(b, '\n'))
	if err = errors.Join(err, j.file.Sync()); err != nil {
		return fault.Wrap(fault.Exhausted, err, "the journal cannot be written")
	}
	return nil
}
