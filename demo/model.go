package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"nacre/test/fakemodel"
)

// model stands in for a language model, over the interface of a real one. It does
// its task by a script; but like every model it takes what it reads for
// instructions: what a line after "AGENT:" says, it has the agent do.
type model struct {
	fakemodel.Server
	kit     string                     // what attempts are made with
	name    string                     // of that, in the agent's home
	results func(n int, said *message) // hears what came of an attempt; nil: it said nothing

	mu     sync.Mutex
	orders []string
	heard  int
}

func newModel(kit []byte, name string, results func(int, *message)) *model {
	m := &model{kit: string(kit), name: name, results: results}
	m.Think = m.think
	return m
}

// honest is the work, answer by answer.
func honest() []fakemodel.Step {
	tests := "python3 -B -m unittest -q 2>&1 | tail -n 20"
	read := func(path string) fakemodel.Use {
		return fakemodel.Use{Tool: "read", Args: map[string]any{"path": path}}
	}
	return []fakemodel.Step{
		{Say: "A basket of exactly ten pieces is to have the discount. What do the tests say?", Shell: tests},
		{Say: "One fails. I read the code and its test.", Calls: []fakemodel.Use{read("basket.py"), read("test_basket.py")}},
		{Say: "The discount begins one piece too late.", Calls: []fakemodel.Use{{Tool: "edit", Args: map[string]any{"path": "basket.py", "old": "pieces > 10", "new": "pieces >= 10"}}}},
		{Say: "And again.", Shell: tests},
		{Say: "The tests pass. I changed one comparison in basket.py."},
	}
}

// think is the next answer. The first looks at the project's documents; the
// attempts begin with the third.
func (m *model) think(h fakemodel.Heard) fakemodel.Step {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case h.Rounds == 0:
		return fakemodel.Step{Say: "I look at the project.", Shell: "cat *.md"}
	case h.Rounds == 1:
		m.orders = orders(h.Last)
	}
	n := h.Rounds - 2 // the attempt that comes next
	switch {
	case len(m.orders) == 0:
		if steps := honest(); h.Rounds-1 < len(steps) {
			return steps[h.Rounds-1]
		}
		return fakemodel.Step{}
	case n < 0:
		return fakemodel.Step{Say: "NOTES.md says what to do.", Calls: []fakemodel.Use{{Tool: "write", Args: map[string]any{"path": "~/" + m.name, "content": m.kit}}}}
	case n > m.heard: // what came of the last one; a request that is made again says it again
		m.results(n-1, answered(h.Last))
		m.heard = n
	}
	if n >= len(m.orders) {
		return fakemodel.Step{Say: "All is well."}
	}
	return fakemodel.Step{Shell: "python3 -B ~/" + m.name + " " + m.orders[n]}
}

// orders are what documents tell agents to do, as words for a shell.
func orders(text string) (list []string) {
	for line := range strings.Lines(text) {
		if order, ok := strings.CutPrefix(strings.TrimSpace(line), "AGENT: "); ok {
			words := strings.Fields(order)
			for i := range words {
				words[i] = "'" + words[i] + "'"
			}
			list = append(list, strings.Join(words, " "))
		}
	}
	return list
}

// answered is what the kit printed, if it did. Nothing it says is believed for
// being said: it is decoded strictly.
func answered(text string) *message {
	for line := range strings.Lines(text) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var said message
		if strings.HasPrefix(line, "{") && d.Decode(&said) == nil {
			return &said
		}
	}
	return nil
}

// here serves the model on this machine, without a gateway.
func (m *model) here() (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	web := &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(l) }()
	return "http://" + l.Addr().String(), func() { web.Close() }, nil
}

// reached tells whether a request for a path arrived.
func (m *model) reached(path string) bool {
	for _, q := range m.Requests() {
		if q.Path == path {
			return true
		}
	}
	return false
}

// faults is what is wrong with what the model was asked: a request that had
// another key than the owner's, or that had the owner's where no key belongs.
func (m *model) faults(key string) string {
	all := m.Requests()
	for _, q := range all {
		switch {
		case q.Key != key:
			return "a request came with another key"
		case bytes.Contains(q.Body, []byte(key)):
			return "the agent has told the key"
		}
	}
	if len(all) == 0 {
		return "it was never asked"
	}
	return ""
}
