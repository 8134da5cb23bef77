package main

import (
	"errors"
	"os"
	"slices"
	"time"
)

// The runs of the same manifest, without a network and with one.
const without, with = "nacre run, a manifest", "nacre run, a manifest with a network"

// networked are these two.
func (b *bench) networked() ([]*contender, error) {
	const head, network = "version: 1\n", "network: [{host: api.example.com}]\n"
	err := os.WriteFile(b.at("policy.yaml"), []byte(head+network), 0o644)
	run := func(name, more, enforces string) *contender {
		manifest := b.at(name + ".yaml")
		err = errors.Join(err, os.WriteFile(manifest, []byte(head+"name: bench\n"+more), 0o644))
		return &contender{name: name, enforces: enforces, command: []string{b.at("nacre"), "run", "-q", "--policy", b.at("policy.yaml"), "--agent", manifest, "--", "echo", "."}}
	}
	return []*contender{
		run(without, "", "as nacre run"),
		run(with, network, "as nacre run; a gateway, itself confined; every address and port led to it, and tried"),
	}, err
}

// beside notes how these compare, round by round.
func (b *bench) beside(ready []*contender) {
	var pair [2]*contender
	for _, c := range ready {
		switch c.name {
		case without:
			pair[0] = c
		case with:
			pair[1] = c
		}
	}
	if pair[0] != nil && pair[1] != nil && b.rounds > 0 {
		b.note("a network beside none, median of %d rounds: %.2f × to the first output, %.2f × to the end", b.rounds,
			ratio(pair[1].first, pair[0].first), ratio(pair[1].times, pair[0].times))
	}
}

// ratio is the median of how each compares with the one beside it.
func ratio(some, others []time.Duration) float64 {
	var list []float64
	for i := range some {
		list = append(list, float64(some[i])/float64(others[i]))
	}
	slices.Sort(list)
	return list[len(list)/2]
}
