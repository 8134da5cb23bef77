// Package learn makes a manifest of what a program did, or tried to do, in a
// sandbox that let it do nothing. What it makes is a proposal: it grants nothing,
// and says with each line what it comes from. It decides nothing.
package learn

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nacre"
	"nacre/denials"
	"nacre/egress/intent"
	"nacre/gateway/wire"
)

// Evidence is why a line is proposed.
type Evidence struct {
	Count int       `json:"count"`
	First time.Time `json:"first,omitzero"`
	By    []string  `json:"by,omitempty"` // programs, where they are known
	What  []string  `json:"what"`         // some of it, as it was recorded: hostile text
}

// Destination is somewhere that a program wanted to go. Unsure ones are proposed
// as comments: nothing would look inside, or nobody knows what was meant.
type Destination struct {
	Scheme  string   `json:"scheme"`
	Host    string   `json:"host"`
	Port    int      `json:"port"`
	Methods []string `json:"methods,omitempty"`
	Paths   []string `json:"paths,omitempty"`
	Push    []string `json:"push,omitempty"`
	Unsure  string   `json:"unsure,omitempty"` // why
	Asked   bool     `json:"asked,omitempty"`  // the owner was asked, and allowed it
	Evidence
}

// Syscalls is a group of system calls that programs lacked.
type Syscalls struct {
	Group string `json:"group"`
	Evidence
}

// Proposal is what a run comes to.
type Proposal struct {
	Name     string        `json:"name"`
	Command  []string      `json:"command"`
	Ended    nacre.Exit    `json:"ended"`
	Write    bool          `json:"write"` // the folder was written to
	Folder   string        `json:"folder,omitempty"`
	Written  []string      `json:"written,omitempty"`
	Read     []string      `json:"read,omitempty"`
	Network  []Destination `json:"network,omitempty"`
	Syscalls []Syscalls    `json:"syscalls,omitempty"`
	Nothing  []string      `json:"nothing,omitempty"` // what was denied and nothing would allow
	Granted  []string      `json:"granted,omitempty"` // further lines, as the command line granted them
}

// Log passes events on to the audit, and remembers what was denied. Its zero
// value with an audit is ready.
type Log struct {
	Audit nacre.Recorder
	mu    sync.Mutex
	list  []Destination
	more  int // that there was no room for
}

// maxDestinations bounds what a program can have remembered.
const maxDestinations = 1000

// Record writes an event into the audit, then remembers it.
func (l *Log) Record(ctx context.Context, e nacre.Event) error {
	if err := l.Audit.Record(ctx, e); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.HasPrefix(e.Reason, wire.Allowed): // it is remembered as a request
	case e.Kind == "learn.answered" && e.Decision != nacre.Allow:
		l.remember(e, 0)
	case e.Kind == "network.request" || e.Decision != nacre.Allow && strings.HasPrefix(e.Kind, "network."):
		l.remember(e, wire.Attempts(e))
	}
	return nil
}

func (l *Log) remember(e nacre.Event, count int) {
	d, ok := destination(e)
	if !ok {
		return
	}
	d.Count, d.First = count, time.Now()
	if e.Decision == nacre.Allow {
		d.Asked = true
	}
	i := slices.IndexFunc(l.list, func(o Destination) bool { return o.same(d) && slices.Equal(o.Methods, d.Methods) })
	switch {
	case i >= 0:
		l.list[i].join(d)
	case len(l.list) >= maxDestinations:
		l.more += count
	default:
		l.list = append(l.list, d)
	}
}

// destination reads where an event goes.
func destination(e nacre.Event) (d Destination, ok bool) {
	to := e.Detail["to"]
	d.What = []string{to}
	if e.Kind == "network.name" {
		d.Scheme, d.Host = "name", strings.TrimSuffix(to, ".")
		return d, true
	}
	if e.Kind == "network.packet" {
		scheme, rest, _ := strings.Cut(to, "://")
		d.Scheme, d.Host, d.Unsure = scheme, rest, "only TCP, and questions for names, leave a sandbox: nothing can allow it"
		return d, true
	}
	if e.Kind == "learn.answered" {
		d.Unsure = "you were asked, and denied it"
	}
	i, err := intent.Parse(to)
	if err != nil {
		return d, false
	}
	d.Scheme, d.Host, d.Port = i.Scheme, i.Host, i.Port
	if strings.Contains(to, " ") { // with a method
		d.Methods, d.Paths = []string{i.Method}, []string{i.Path}
		d.Push = append(d.Push, strings.Fields(e.Detail["refs"])...) // nil where there are none
	}
	return d, true
}

// The most that one line tells of what it comes from, or is made of.
const (
	maxWhat  = 6
	maxPaths = 8
	maxRefs  = 20
)

func (d *Destination) same(o Destination) bool {
	return d.Scheme == o.Scheme && d.Host == o.Host && d.Port == o.Port
}

// join adds what another says of the same destination.
func (d *Destination) join(o Destination) {
	d.Count += o.Count
	d.Asked = d.Asked || o.Asked
	add := func(list *[]string, most int, from []string) {
		for _, s := range from {
			if !slices.Contains(*list, s) && len(*list) < most {
				*list = append(*list, s)
			}
		}
	}
	add(&d.Methods, maxRefs, o.Methods)
	add(&d.Paths, 8*maxPaths, o.Paths)
	add(&d.Push, maxRefs, o.Push)
	add(&d.What, maxWhat, o.What)
}

// Into puts what was remembered, and the calls that were denied, into a proposal.
func (l *Log) Into(p *Proposal, denied []denials.Denial) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Network = judge(l.list)
	if l.more > 0 {
		p.Nothing = append(p.Nothing, strconv.Itoa(l.more)+" attempts to reach many other destinations")
	}
	slices.SortStableFunc(p.Network, func(a, b Destination) int {
		return cmp.Or(cmp.Compare(len(a.Unsure), len(b.Unsure)), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
	})
	for _, d := range denied {
		evidence := Evidence{Count: int(d.Count), By: d.Programs, What: []string{d.Subject}}
		group, ok := strings.CutPrefix(d.Remedy, "syscalls: [")
		group, closed := strings.CutSuffix(group, "]")
		if !ok || !closed {
			p.Nothing = append(p.Nothing, "the system call "+d.Subject+", by "+strings.Join(d.Programs, ", "))
			continue
		}
		p.group(group, evidence)
	}
}

func (p *Proposal) group(name string, e Evidence) {
	i := slices.IndexFunc(p.Syscalls, func(s Syscalls) bool { return s.Group == name })
	if i < 0 {
		p.Syscalls = append(p.Syscalls, Syscalls{name, e})
		return
	}
	s := &p.Syscalls[i]
	s.Count += e.Count
	s.What = append(s.What, e.What...)
	for _, by := range e.By {
		if !slices.Contains(s.By, by) {
			s.By = append(s.By, by)
		}
	}
}
