// Package blueprint is what the supervisor hands to the first process of a
// sandbox: the sandbox as data, and the few messages that follow. It does
// nothing itself; package build builds what it says.
package blueprint

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Version of this protocol. A supervisor and an init of different versions
// refuse each other.
const Version = 1

// The descriptors that init is started with.
const (
	ControlFD = 3 // sequenced-packet socket to the supervisor
	SpecFD    = 4 // sealed memory file holding the Spec
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
	Overlay  bool   // the first tree is the lower layer of the root
	Trees    []Tree // what appears of the host
	Private  Private
	Dirs     []string // further empty folders
	Links    []Link
	Files    []File // synthetic files
	Devices  []string
	Proc     Proc
	Limits   []Rlimit
	Loopback bool
	Network  *Network // nil: nothing but loopback
	Time     bool     // a time namespace
	Landlock Landlock
	Nested   bool   // nested sandboxes are granted: user namespaces stay allowed
	Seccomp  []byte `json:"-"` // the assembled filter, in the machine's byte order; encoded behind the rest
}

// Tree is a folder or file of the host that appears inside.
type Tree struct {
	// FD is the descriptor that was checked. Detached, it is the mount itself;
	// otherwise init walks Host again and refuses unless it arrives at the very
	// same inode. Zero means a path of the system's own, such as /usr.
	FD       int
	Detached bool
	Host     string
	Inside   string
	Dir      bool
	Write    bool
	NoExec   bool
	Device   bool     // a device node: readable and writable, nothing else
	Masks    []string // relative paths to make unreadable
	Guards   []Guard  // entries to make mounts of their own, before the masks
}

// Guard is an entry of a tree that becomes a mount of its own.
type Guard struct {
	Path     string
	ReadOnly bool
}

// Private is the sized tmpfs that holds every private writable place.
type Private struct {
	Size   int64
	Inodes int64
	Places []Place
}

// Place is a private writable folder.
type Place struct {
	Path string
	Mode uint32
}

// Link is a symbolic link.
type Link struct{ Path, Target string }

// File is a synthetic file.
type File struct {
	Path, Content string
	Binary        []byte `json:",omitempty"` // in place of Content: no text
	Mode          uint32
}

// Proc says how the private /proc is trimmed.
type Proc struct {
	Masks     []string // made unreadable, where they exist
	Synthetic []File   // replaced, where they exist
	ReadOnly  bool
}

// Rlimit is one resource limit (getrlimit(2)); soft and hard are the same.
type Rlimit struct {
	Resource int
	Value    uint64
}

// Landlock says which Landlock ABI init must find; zero switches it off.
type Landlock struct {
	ABI      int
	TCP      bool // refuse to bind and connect TCP at all
	NoScopes bool // accepted by the owner: an ABI without scopes
}

// Encode renders the spec for init.
func (s Spec) Encode() ([]byte, error) {
	s.Version = Version
	b, err := json.Marshal(s)
	b = append(b, s.Seccomp...)
	if err == nil && len(b) > MaxSpec {
		err = fmt.Errorf("the sandbox takes %d bytes to describe, over %d", len(b), MaxSpec)
	}
	return b, err
}

// Decode reads a spec.
func Decode(b []byte) (Spec, error) {
	var s Spec
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&s); err != nil {
		return Spec{}, err
	}
	s.Seccomp = b[d.InputOffset():]
	if s.Version != Version {
		return Spec{}, fmt.Errorf("nacre-init speaks version %d of the blueprint, not %d: reinstall Nacre", Version, s.Version)
	}
	return s, nil
}
