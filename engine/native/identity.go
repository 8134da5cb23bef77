package native

import (
	"os"
	"slices"

	"nacre"
	"nacre/install"
	"nacre/sandbox"
)

// As root every running sandbox has a user id of its own from this range,
// which lies above those of people, systemd and container managers
// (systemd's UIDS-GIDS.md), and below 2^31.
const (
	firstUID = 0x7ACE0000
	uidCount = 0x10000
)

// identify chooses who the agent is outside.
func (b *box) identify() (m sandbox.Mapping, err error) {
	inside := b.plan.Identity.UID
	if os.Geteuid() == 0 {
		n, err := b.number(uidCount)
		return sandbox.Mapping{Inside: inside, UID: firstUID + n, GID: firstUID + n, Regroup: true}, err
	}
	owner := sandbox.Mapping{Inside: inside, UID: os.Geteuid(), GID: os.Getegid()}
	if len(b.plan.Files) > 0 || b.plan.Image.Kind != nacre.ImageHost {
		return owner, nil // its files are the owner's
	}
	first, count, err := install.Subordinate()
	switch {
	case err != nil && slices.Contains(b.plan.Accepted, nacre.TierOwnerUID):
		return owner, nil
	case err != nil:
		return sandbox.Mapping{}, err
	}
	n, err := b.number(count)
	return sandbox.Mapping{Inside: inside, UID: first + n, GID: first + n, Helper: true, Regroup: true}, err
}

// number reserves a number below count that no other running sandbox has.
func (b *box) number(count int) (int, error) {
	n, held, err := b.engine.Runs.Number(count)
	if err == nil {
		b.held = append(b.held, held)
	}
	return n, err
}
