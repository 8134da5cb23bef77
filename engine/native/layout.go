package native

import (
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"nacre"
	"nacre/sandbox/blueprint"
)

// usrMerged are the places of the host's programs and libraries; on most
// distributions all but /usr are links into it.
var usrMerged = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// etcOffered are the few files of /etc that programs need to find their
// libraries, certificates and configuration; none of them tells who the host is
// or who uses it. Those that a host does not have are left out.
var etcOffered = []string{
	"ld.so.cache", "ld.so.conf", "ld.so.conf.d", // dynamic linker
	"ssl/certs", "ssl/openssl.cnf", "pki/tls/certs", "pki/ca-trust", "ca-certificates", "ca-certificates.conf", // public certificates
	"alternatives",          // Debian's indirections into /usr
	"localtime", "timezone", // time
	"mime.types", "services", "protocols", // public tables
	"bash.bashrc", "inputrc", "terminfo", // shells and terminals
	"fonts", "magic", "papersize", // public data
	"java-8-openjdk", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "java-25-openjdk",
	"python3", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "perl",
	"lsb-release", "os-release", "debian_version",
}

// usrHidden are parts of /usr that are the host's own business.
var usrHidden = []string{"/usr/local/etc", "/usr/src", "/usr/lib/modules", "/usr/lib/firmware", "/usr/lib/debug"}

// deviceNodes are the host's harmless devices.
var deviceNodes = []string{"null", "zero", "full", "random", "urandom", "tty"}

// hostTrees lists what an agent sees of the host's system.
func hostTrees() (trees []blueprint.Tree, links []blueprint.Link) {
	for _, p := range usrMerged {
		trees, links = offered(trees, links, p)
	}
	for i := range trees {
		if trees[i].Inside == "/usr" {
			trees[i].Masks = hiddenIn("/usr")
		}
	}
	for _, name := range etcOffered {
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

func hiddenIn(root string) (masks []string) {
	for _, p := range usrHidden {
		if _, err := os.Lstat(p); err == nil {
			masks = append(masks, strings.TrimPrefix(p, root+"/"))
		}
	}
	return masks
}

func deviceTrees() (trees []blueprint.Tree) {
	for _, name := range deviceNodes {
		p := "/dev/" + name
		trees = append(trees, blueprint.Tree{Host: p, Inside: p, Device: true, NoExec: true})
	}
	return trees
}

// places are the private writable folders.
func places(workdir string) []blueprint.Place {
	list := []blueprint.Place{
		{Path: home, Mode: 0o700},
		{Path: "/tmp", Mode: 0o1777},
		{Path: "/var/tmp", Mode: 0o1777},
		{Path: "/run", Mode: 0o755},
		{Path: "/dev/shm", Mode: 0o1777},
	}
	return list
}

const home = "/home/agent"

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
	for _, name := range sortedKeys(files) {
		list = append(list, blueprint.File{Path: path.Join("/etc", name), Content: files[name], Mode: 0o444})
	}
	return list
}

// procMasks are the files and folders of /proc that tell of the host's
// hardware, of other processes, or that lead into the kernel. Most are closed
// to plain users anyway; the mask is a layer of its own. Reasons by group.
var procMasks = []string{
	"kcore", "kmsg", "kallsyms", "kpagecgroup", "kpagecount", "kpageflags", "sysrq-trigger", // kernel memory and control
	"keys", "key-users", "locks", "timer_list", "latency_stats", "sched_debug", "schedstat", // other people's
	"acpi", "asound", "bus", "driver", "fs", "irq", "scsi", "tty", "dma", "iomem", "ioports", "interrupts", "mtrr", // hardware
	"partitions", "diskstats", "mdstat", "swaps", "devices", "misc", "fb", // the host's disks and devices
	"modules", "config.gz", "vmallocinfo", "slabinfo", "zoneinfo", "buddyinfo", "pagetypeinfo", "softirqs", "vmstat", "pressure", // kernel's state
	"consoles", "sysvipc",
}

func procSynthetic(id string) []blueprint.File {
	m := machineID("boot:" + id)
	boot := m[:8] + "-" + m[8:12] + "-4" + m[13:16] + "-a" + m[17:20] + "-" + m[20:32]
	return []blueprint.File{
		{Path: "cmdline", Content: "\n", Mode: 0o444},
		{Path: "sys/kernel/random/boot_id", Content: boot + "\n", Mode: 0o444},
	}
}
