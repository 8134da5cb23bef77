package native

import (
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"nacre"
	"nacre/fault"
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
	first, count, err := Subordinate()
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

// Subordinate is the range of ids that an administrator gave to the owner, for
// users and groups alike (subuid(5), subgid(5)).
func Subordinate() (first, count int, err error) {
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, 0, noSubordinates(program + " is not installed")
		}
	}
	uid, uids := firstRange("/etc/subuid")
	gid, gids := firstRange("/etc/subgid")
	first, count = max(uid, gid), min(uid+uids, gid+gids)-max(uid, gid)
	if count <= 0 {
		return 0, 0, noSubordinates("/etc/subuid and /etc/subgid have no range in common for you")
	}
	return first, count, nil
}

func noSubordinates(reason string) error {
	return fault.New(fault.Unsupported, "the agent cannot have a user id of its own: %s", reason).
		WithHint("install the package uidmap and have an administrator run: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s"+
			"; or accept the lower tier: --accept %s", userName(), nacre.TierOwnerUID)
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// firstRange is the owner's first range in a file of names, first ids and
// counts; none where there is no such file.
func firstRange(file string) (first, count int) {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		part := strings.Split(strings.TrimSpace(line), ":")
		if len(part) != 3 || part[0] != userName() && part[0] != strconv.Itoa(os.Getuid()) {
			continue
		}
		first, err1 := strconv.Atoi(part[1])
		count, err2 := strconv.Atoi(part[2])
		if err1 == nil && err2 == nil && first > 0 && count > 0 {
			return first, count
		}
	}
	return 0, 0
}
