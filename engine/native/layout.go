package native

import (
	_ "embed"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/sandbox/blueprint"
)

//go:embed host.txt
var hostFile string

// listed reads a section of host.txt: names, with the reason behind a "#".
func listed(section string) (names []string) {
	_, text, _ := strings.Cut(hostFile, "\n["+section+"]\n")
	text, _, _ = strings.Cut(text, "\n[")
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.Fields(line)...)
	}
	return names
}

// hostTrees lists what an agent sees of the host's system.
func hostTrees() (trees []blueprint.Tree, links []blueprint.Link) {
	for _, p := range listed("usr") {
		trees, links = offered(trees, links, p)
	}
	for i := range trees {
		if trees[i].Inside == "/usr" {
			trees[i].Masks = slices.DeleteFunc(listed("hidden"), func(name string) bool {
				_, err := os.Lstat("/usr/" + name)
				return err != nil
			})
		}
	}
	for _, name := range listed("etc") {
		trees, links = offered(trees, links, "/etc/"+name)
	}
	return trees, links
}

// offered adds a path of the host's: a link as a link, the rest as a read-only
// tree.
func offered(trees []blueprint.Tree, links []blueprint.Link, p string) ([]blueprint.Tree, []blueprint.Link) {
	var st unix.Stat_t
	if unix.Lstat(p, &st) != nil {
		return trees, links
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		if target, err := os.Readlink(p); err == nil {
			links = append(links, blueprint.Link{Path: p, Target: target})
		}
	case unix.S_IFDIR, unix.S_IFREG:
		dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
		trees = append(trees, blueprint.Tree{Host: p, Inside: p, Dir: dir, NoExec: strings.HasPrefix(p, "/etc/")})
	}
	return trees, links
}

func deviceTrees() (trees []blueprint.Tree) {
	for _, name := range listed("devices") {
		p := "/dev/" + name
		trees = append(trees, blueprint.Tree{Host: p, Inside: p, Device: true, NoExec: true})
	}
	return trees
}

// places are the private writable folders.
var places = []blueprint.Place{
	{Path: "/home/agent", Mode: 0o700},
	{Path: "/tmp", Mode: 0o1777},
	{Path: "/var/tmp", Mode: 0o1777},
	{Path: "/run", Mode: 0o755},
	{Path: "/dev/shm", Mode: 0o1777},
}

// inodes bounds the number of private files: one for each 16 KiB of space, as
// ext4 does, within reason.
func inodes(disk int64) int64 { return min(max(disk/16384, 4096), 4_000_000) }

// etcFiles are synthetic: nothing in them is the host's.
func etcFiles(p nacre.Plan, id string) []blueprint.File {
	name := p.Identity.Hostname
	files := map[string]string{
		"passwd":        "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		"group":         "root:x:0:\ntty:x:5:\nagent:x:1000:\nnogroup:x:65534:\n",
		"hosts":         "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 " + name + "\n",
		"hostname":      name + "\n",
		"host.conf":     "multi on\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
		"resolv.conf":   "# no name server: this sandbox has no network\n",
		"machine-id":    machineID(id) + "\n",
	}
	var list []blueprint.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, blueprint.File{Path: "/etc/" + name, Content: files[name], Mode: 0o444})
	}
	return list
}

func procSynthetic(id string) []blueprint.File {
	m := machineID("boot:" + id)
	boot := m[:8] + "-" + m[8:12] + "-4" + m[13:16] + "-a" + m[17:20] + "-" + m[20:32]
	return []blueprint.File{
		{Path: "cmdline", Content: "\n", Mode: 0o444},
		{Path: "sys/kernel/random/boot_id", Content: boot + "\n", Mode: 0o444},
	}
}
