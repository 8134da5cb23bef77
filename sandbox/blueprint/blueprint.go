// Package blueprint is what the supervisor hands to the first process of a
// sandbox: the sandbox as data, and the few messages that follow. It does
// nothing itself; package build builds what it says.
package blueprint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Version of this protocol. A supervisor and an init of different versions
// refuse each other.
const Version = 3

// The descriptors that init is started with.
const (
	ControlFD = 3 // sequenced-packet socket to the supervisor
	SpecFD    = 4 // pipe with the Spec
	FirstFD   = 5 // the first of the trees' descriptors
)

// MaxSpec bounds the encoded Spec, in bytes.
const MaxSpec = 32 << 20

// LandlockProbe is a pipe that nothing but Landlock keeps from being read and
// written; LandlockSocket is an abstract socket, held at SpecFD, that nothing
// but Landlock keeps from being connected to.
const (
	LandlockProbe  = "/dev/.landlock-probe"
	LandlockSocket = "@landlock-probe"
)

// Securebits: capabilities come back neither by being root nor by keeping them
// over a change of ids, and none of that can be changed (capabilities(7)).
const Securebits = 1<<0 | 1<<1 | // NOROOT and its lock
	1<<2 | 1<<3 | // NO_SETUID_FIXUP and its lock
	1<<5 | // KEEP_CAPS off, locked
	1<<6 | 1<<7 // NO_CAP_AMBIENT_RAISE and its lock

// Spec is a sandbox as init builds it. The zero value grants nothing.
type Spec struct {
	Version  int
	Hostname string
	UID      int
	// Regroup tells that supplementary groups can be dropped: not so where an
	// unprivileged supervisor wrote the gid map itself (user_namespaces(7)).
	Regroup  bool
	Overlay  bool    // the root is an image: the tree that has no path inside
	Entries  []Entry // what is in the root, in the order in which it is made
	Disk     int64   // bytes of all private folders together
	Limits   []Rlimit
	Loopback bool     // else no TCP socket is bound or connected either
	Sockets  []Socket // to be passed out; none: nothing but loopback
	Time     string   // the offsets of the clocks of a time namespace (time_namespaces(7)); none: the host's own, where the kernel has no others
	Landlock int      // the ABI that the kernel has; zero switches it off
	Nested   bool     // nested sandboxes are granted: user namespaces stay allowed
	Seccomp  []byte   // the assembled filter, in the machine's byte order
	Silent   []byte   // the same without reports, for where there can be none
}

// Form is what an entry is.
type Form string

// The forms. Private, System and Tree are mounts.
const (
	Folder  Form = "folder"  // an empty one
	Link    Form = "link"    // a symbolic link to Text, unless an image brought its own
	File    Form = "file"    // holds Text; that of an image is replaced
	Cover   Form = "cover"   // a file with Text laid over what is there
	Guard   Form = "guard"   // what is there laid over itself: it can be neither renamed nor removed
	Mask    Form = "mask"    // what nobody can read laid over what is there
	Private Form = "private" // a writable folder; all of them share one sized file system
	System  Form = "system"  // a new file system of the kernel's: its kind is Host, its options Text
	Tree    Form = "tree"    // a folder or file of the host
)

// Entry is one thing in a sandbox's root. Nothing in it can be written, nor is
// it a device, unless it says so.
type Entry struct {
	Form Form
	Path string // inside, absolute; none: the lower layer of the root
	Text []byte `json:",omitempty"`
	Mode uint32 `json:",omitempty"` // of a file, a cover or a private folder
	Host string `json:",omitempty"`
	// FD is the descriptor of a tree that was checked. Detached, it is the mount
	// itself; otherwise init walks Host again and refuses unless it arrives at the
	// very same inode. Zero means a path of the system's own, such as /usr.
	FD       int  `json:",omitempty"`
	Detached bool `json:",omitempty"`
	Dir      bool `json:",omitempty"` // a mount on a folder
	Write    bool `json:",omitempty"`
	NoExec   bool `json:",omitempty"`
	Device   bool `json:",omitempty"` // device nodes: readable and writable, nothing else
	Closed   bool `json:",omitempty"` // no rule of Landlock opens it
	Optional bool `json:",omitempty"` // left out where there is nothing to lay it over
}

// Mounted tells whether an entry is a mount of its own.
func (e Entry) Mounted() bool {
	return e.Path != "" && (e.Form == Private || e.Form == System || e.Form == Tree)
}

// Over tells whether an entry is laid over what is there.
func (e Entry) Over() bool { return e.Form == Cover || e.Form == Guard || e.Form == Mask }

// Rlimit is one resource limit (getrlimit(2)); soft and hard are the same.
type Rlimit struct {
	Resource int
	Value    uint64
}

// Socket is one that init opens in the sandbox's own network namespace and passes
// out, before there is an agent. With it the network is set up from outside: that
// namespace, which has nothing but a loopback, and no other, since the kernel wants
// the rights to it of who opened the socket, too.
type Socket struct{ Domain, Type, Protocol int }

// Encode renders the spec for init.
func (s Spec) Encode() ([]byte, error) {
	s.Version, s.Entries = Version, carried(s.Entries, Pack)
	b, err := json.Marshal(s)
	if err == nil && len(b) > MaxSpec {
		err = fmt.Errorf("the sandbox takes %d bytes to describe, over %d", len(b), MaxSpec)
	}
	return b, err
}

// Decode reads a spec.
func Decode(b []byte) (Spec, error) {
	var s Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return Spec{}, err
	}
	if s.Version != Version {
		return Spec{}, fmt.Errorf("nacre-init speaks version %d of the blueprint, not %d: reinstall Nacre", Version, s.Version)
	}
	s.Entries = carried(s.Entries, Unpack)
	return s, nil
}

// carried are entries with their paths in other letters.
func carried(list []Entry, as func(string) string) []Entry {
	list = slices.Clone(list)
	for i, e := range list {
		list[i].Path, list[i].Host = as(e.Path), as(e.Host)
	}
	return list
}

// Pack quotes what JSON would change: what a stranger has called a folder, or a command
// is given, may be no UTF-8.
func Pack(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, `"`) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// Unpack undoes it.
func Unpack(s string) string {
	if text, err := strconv.Unquote(s); err == nil && s[0] == '"' {
		return text
	}
	return s
}
