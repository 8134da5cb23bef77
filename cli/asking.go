package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/egress"
	"nacre/fault"
	"nacre/localapi/api"
	"nacre/manifest"
	"nacre/terminal"
)

// patience is how long a request waits for its owner's answer.
const patience = 2 * time.Minute

// asking keeps what a learning sandbox wants to be let out, until its owner says so:
// by the control socket, which nothing inside reaches, and never on a terminal that the
// program can write to.
type asking struct {
	live      *live
	record    func(nacre.Event) error
	terminals []uint64

	mu      sync.Mutex
	open    []open // in the order in which they were asked
	granted []nacre.NetworkGrant
}

// open is a question that is not answered.
type open struct {
	id     uint64
	intent egress.Intent
}

// begin says where to answer. A nil one asks nothing.
func (a *asking) begin(s *session, id string) {
	if a == nil {
		return
	}
	a.terminals = terminals(s.app.In, s.app.Out, s.app.Err)
	s.app.note("it asks before it lets something out: answer in another terminal: nacre learn answer %s", id)
}

// terminals are the devices of those files that are terminals.
func terminals(files ...*os.File) (list []uint64) {
	for _, f := range files {
		var st unix.Stat_t
		if isTerminal(f) && unix.Fstat(int(f.Fd()), &st) == nil {
			list = append(list, st.Rdev)
		}
	}
	return list
}

// ask takes a question of the gateway's.
func (a *asking) ask(id uint64, i egress.Intent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = append(a.open, open{id, i})
}

// Questions are those that are not answered.
func (a *asking) Questions() api.Questions {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := api.Questions{Terminals: a.terminals}
	for _, o := range a.open {
		about := o.intent
		about.Path = ""
		more := slices.Clone(o.intent.Refs)
		if o.intent.Upgrade != "" {
			more = append(more, "change to "+o.intent.Upgrade)
		}
		q.List = append(q.List, api.Question{Number: int(o.id), What: about.String(), Path: o.intent.Path, More: more})
	}
	return q
}

// Answer answers a question: what is allowed is recorded before it is let out.
func (a *asking) Answer(number int, allow bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.open, func(o open) bool { return o.id == uint64(number) })
	if i < 0 {
		return fault.New(fault.NotFound, "there is no question %d", number)
	}
	o := a.open[i]
	grant, refused := a.grant(o, allow)
	allow = allow && refused == nil
	e := nacre.Event{Kind: "learn.answered", Rule: fmt.Sprintf("asked.%d", o.id), Reason: "asked, denied by you",
		Detail: map[string]string{"to": o.intent.String(), "refs": strings.Join(o.intent.Refs, " ")}}
	if allow {
		e.Decision, e.Reason = nacre.Allow, "asked, allowed by you"
	} else if refused != nil {
		e.Reason = "asked, allowed by you, but " + refused.Error()
	}
	if err := a.record(e); err != nil && allow {
		return err
	}
	if allow {
		grant.Grant = nacre.Grant{ID: e.Rule, Capability: nacre.CapNetwork, Summary: o.intent.String(), Reason: e.Reason}
		a.granted = append(a.granted, grant)
		if err := a.live.gateway.Change(nil, a.granted); err != nil {
			return err
		}
	}
	a.open = slices.Delete(a.open, i, i+1)
	return errors.Join(refused, a.live.gateway.Answer(o.id, allow))
}

// grant is what an answer of yes comes to: a word of the owner's, like one on the
// command line, below the policies' denials and the administrator's ceiling, with the
// amounts of the rules that allow it.
func (a *asking) grant(o open, allow bool) (n nacre.NetworkGrant, refused error) {
	n = nacre.NetworkGrant{Host: o.intent.Host, Ports: []int{o.intent.Port}, Scheme: o.intent.Scheme, Methods: []string{o.intent.Method}, Paths: []string{"/**"},
		Push: append([]string(nil), o.intent.Refs...), Upgrade: upgrades(o.intent)}
	asked := manifest.Network{NetworkGrant: n, Origin: commandLine}
	if !allow {
		return n, nil
	}
	in := a.live.asked
	in.Granted.Network = append(slices.Clip(in.Granted.Network), asked)
	_, auth, err := authority(in)
	if err != nil {
		return n, err
	}
	d, granted := auth.Named(manifest.Entry(nacre.CapNetwork, asked))
	if d.Effect != nacre.Allow {
		return n, fault.New(fault.Denied, "%s", d.Reason)
	}
	n.Bytes, n.Rate, n.Connections = granted.Amounts["bytes"], granted.Amounts["rate"], granted.Amounts["connections"]
	return n, nil
}

func upgrades(i egress.Intent) []string {
	if i.Upgrade == "" {
		return nil
	}
	return []string{i.Upgrade}
}

// asked is a question as it is put: whoever is inside chose its words.
func asked(q api.Question) string {
	s := terminal.Clean(q.What) + ", such as " + terminal.Clean(q.Path)
	for _, m := range q.More {
		s += ", " + terminal.Clean(m)
	}
	return s
}
