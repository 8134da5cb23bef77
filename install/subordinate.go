package install

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"nacre"
	"nacre/fault"
)

// Subordinate is the range of ids that an administrator gave to the owner, for
// users and groups alike (subuid(5), subgid(5)), and what maps some of them: Map.
func Subordinate() (first, count int, mapping func(pid, inside, uid, gid int) error, err error) {
	for _, program := range []string{"newuidmap", "newgidmap"} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, 0, nil, noSubordinates(program + " is not installed")
		}
	}
	uid, uids := firstRange("/etc/subuid")
	gid, gids := firstRange("/etc/subgid")
	first, count = max(uid, gid), min(uid+uids, gid+gids)-max(uid, gid)
	if count <= 0 {
		return 0, 0, nil, noSubordinates("/etc/subuid and /etc/subgid have no range in common for you")
	}
	return first, count, Map, nil
}

// Map has newuidmap and newgidmap, which know what is whose, map one id in a process's
// user namespace to a user and a group outside.
func Map(pid, inside, uid, gid int) error {
	for program, id := range map[string]int{"newuidmap": uid, "newgidmap": gid} {
		cmd := exec.Command(program, strconv.Itoa(pid), strconv.Itoa(inside), strconv.Itoa(id), "1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %.200s", program, err, out)
		}
	}
	return nil
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
