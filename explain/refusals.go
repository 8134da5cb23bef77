package explain

import (
	"maps"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/seccomp"
	"nacre/seccomp/replay"
)

// Refusals explains calls that a filter refused, each with its arguments. It
// asks the tables that filters are made from, and the filters.
type Refusals struct {
	options seccomp.Options
	once    sync.Once // hardly any run needs what is below
	table   *seccomp.Table
	looser  []looser
}

// looser is one line more of a manifest, and the filter that comes of it.
type looser struct {
	line    string
	program []unix.SockFilter
}

// NewRefusals explains the refusals of a table made with these options, of which there
// is one.
func NewRefusals(o seccomp.Options) *Refusals { return &Refusals{options: o} }

// X32 stands for all numbers of amd64's other ABI, of which none is permitted.
const X32 = 0x40000000

// Of is the decision about one refused call. Its remedy is the line that would
// have allowed this very call; empty where nothing would.
func (r *Refusals) Of(number uint32, args [6]uint64) nacre.Decision {
	d := nacre.Decision{Capability: nacre.CapSyscalls, Subject: "x32", Rule: "syscalls.base.x32",
		Reason: "a second set of system calls that nothing needs", Origin: nacre.Origin{File: nacre.OriginBuiltIn}}
	if number >= X32 {
		return d
	}
	r.once.Do(r.tables)
	d.Subject = r.table.Name(number)
	c, _ := r.table.Call(d.Subject)
	d.Rule, d.Reason = said(c, d.Subject)
	for _, l := range r.looser {
		if permit, _ := replay.Judge(l.program, string(r.options.Arch), number, args); permit {
			d.Remedy = l.line
			break
		}
	}
	return d
}

// tables makes the filter's own table, and those of what could be asked for besides.
func (r *Refusals) tables() {
	r.table, _ = seccomp.NewTable(r.options) // as it was made before
	try := func(line string, o seccomp.Options) {
		if t, err := seccomp.NewTable(o); err == nil {
			r.looser = append(r.looser, looser{line, t.Filter()})
		}
	}
	if !r.options.Loopback {
		with := r.options
		with.Loopback = true
		try("loopback: true", with)
	}
	for _, g := range slices.Sorted(maps.Keys(seccomp.Groups())) {
		with := r.options
		with.Groups = append(slices.Clone(with.Groups), g)
		try("syscalls: ["+g+"]", with)
	}
}
