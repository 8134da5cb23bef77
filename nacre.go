// Package nacre is the vocabulary of a zero-trust runtime for AI agents: the
// nouns that every other package speaks, and the interfaces between them.
// It holds no logic beyond printing a value, and imports only the standard
// library.
//
// The zero value of every type here denies.
package nacre

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Effect is what an evaluator answers. The zero value denies.
type Effect uint8

// The effects, from the strictest.
const (
	Deny Effect = iota
	Ask
	Allow
)

var effects = map[Effect]string{Deny: "deny", Ask: "ask", Allow: "allow"}

func (e Effect) String() string { return cmp.Or(effects[e], effects[Deny]) }

// MarshalText writes the effect as its word.
func (e Effect) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads an effect; an unknown word is an error and denies.
func (e *Effect) UnmarshalText(b []byte) (err error) {
	*e, err = value(effects, string(b), "effect is one of allow, ask, deny")
	return err
}

// Access is what may be done with a folder or file. The zero value is none.
type Access uint8

// The kinds of access, each one including those before it.
const (
	NoAccess Access = iota
	Read
	Stage // reserved: a copy-on-write view, whose changes the owner reviews
	Write
)

var accesses = map[Access]string{NoAccess: "none", Read: "read", Stage: "stage", Write: "write"}

func (a Access) String() string { return cmp.Or(accesses[a], accesses[NoAccess]) }

// MarshalText writes the access as its word.
func (a Access) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an access; an unknown word is an error and denies.
func (a *Access) UnmarshalText(b []byte) (err error) {
	*a, err = value(accesses, string(b), "access is one of read, write")
	return err
}

// value is what a word stands for; of an unknown one it is zero, with an error
// that says what is expected.
func value[T comparable](words map[T]string, word, expected string) (zero T, err error) {
	for v, w := range words {
		if w == word {
			return v, nil
		}
	}
	return zero, fmt.Errorf("%s; not %q", expected, word)
}

// Capability is one kind of thing that an agent can ask for.
type Capability string

// The capabilities.
const (
	CapFiles       Capability = "files"
	CapNetwork     Capability = "network"
	CapSecrets     Capability = "secrets"
	CapModels      Capability = "models"
	CapTools       Capability = "tools"
	CapMessages    Capability = "messages"
	CapSchedule    Capability = "schedule"
	CapSyscalls    Capability = "syscalls"
	CapDevices     Capability = "devices"
	CapSkills      Capability = "skills"
	CapLimits      Capability = "limits"
	CapEnvironment Capability = "environment"
	CapImage       Capability = "image"
)

// Origin says where a rule was written: a file with line and column, the
// owner's command line, or Nacre itself.
type Origin struct {
	File   string `json:"file"` // a path, or "command line" or "built in"
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (o Origin) String() string {
	if o.File == "" || o.Line == 0 {
		return cmp.Or(o.File, "unknown")
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// The origins that are not files.
const (
	OriginCommandLine = "command line"
	OriginBuiltIn     = "built in"
)

// Decision is the answer to "may it?", with the rule that gave it. Decisions
// are values: enforcement, explanation and simulation all get the same one.
type Decision struct {
	Effect     Effect     `json:"effect"`
	Capability Capability `json:"capability"`
	Subject    string     `json:"subject"` // what was asked about, in its own words
	Rule       string     `json:"rule"`    // the rule's id, such as "files.2" or "blocked..ssh"
	Reason     string     `json:"reason"`  // one plain sentence
	Origin     Origin     `json:"origin"`
	// Remedy is the policy line (or command) that would allow it; empty where
	// nothing would.
	Remedy string `json:"remedy,omitempty"`
}

// Warning is a named loosening: something the plan permits that a stricter
// plan would not, or a layer that it goes without.
type Warning struct {
	Name   string `json:"name"` // such as "disk-unbounded"
	Detail string `json:"detail"`
	Origin Origin `json:"origin"`
}

// Tier is the name of a lower level of protection that an owner may accept
// where a machine cannot provide a layer. An unaccepted tier refuses the run.
type Tier string

// The tiers.
const (
	// TierWatchdog: no cgroup can be had; process count by rlimit, memory and
	// CPU time by a watchdog that samples and kills.
	TierWatchdog Tier = "limits-watchdog"
	// TierOwnerUID: no identity of its own can be had for an agent without
	// host folders; it runs as the owner's uid behind the user namespace.
	TierOwnerUID Tier = "owner-uid"
	// TierNoLandlock: the kernel has no Landlock; mounts and seccomp remain.
	TierNoLandlock Tier = "no-landlock"
	// TierOldLandlock: Landlock is there, but older than ABI 6, without
	// scoping of signals and abstract sockets.
	TierOldLandlock Tier = "old-landlock"
	// TierMasksAtStart: granted folders cannot be watched, as a whole or from
	// some point on; blocked names that appear later are not masked.
	TierMasksAtStart Tier = "masks-at-start"
	// TierCoreSocket: the kernel hands crashes to a socket of the host's, and
	// nothing keeps those of a sandbox from it.
	TierCoreSocket Tier = "core-socket"
)

// Grant is one rule of a plan: what is granted, why, and who said so.
type Grant struct {
	ID         string     `json:"id"`
	Capability Capability `json:"capability"`
	Summary    string     `json:"summary"`
	Reason     string     `json:"reason"`
	Declared   Origin     `json:"declared"` // where it was asked for
	Allowed    Origin     `json:"allowed"`  // where it was allowed
}

// FileGrant is a folder or file of the host that appears in the sandbox.
type FileGrant struct {
	Grant
	Host   string `json:"host"`   // absolute, clean, no symbolic links
	Inside string `json:"inside"` // absolute, clean
	Access Access `json:"access"`
	// Preset is the read-only preset that this came from, if any.
	Preset string `json:"preset,omitempty"`
	// Optional grants are left out, with a note, where the host has no such path.
	Optional bool `json:"optional,omitempty"`
}

// NetworkGrant is a destination that the gateway may dial for the agent. The
// grammar of manifests and policies is made of the same fields.
type NetworkGrant struct {
	Grant
	Host    string   `json:"host" yaml:"host,scalar" about:"a name, *.name for one label, or an address"`
	As      string   `json:"as,omitempty" yaml:"as" about:"where host is an address: its name inside, such as db.internal"`
	Ports   []int    `json:"ports" yaml:"ports,some" about:"default: 443 for https, 80 for http, 22 for ssh; tcp must say"`
	Scheme  string   `json:"scheme,omitempty" yaml:"scheme" oneof:"https http ssh tcp" about:"default: https; ssh: git alone"`
	TLS     string   `json:"tls,omitempty" yaml:"tls" oneof:"opaque" about:"opaque: https is passed on unread, without methods, paths and secrets"`
	Methods []string `json:"methods,omitempty" yaml:"methods,some" match:"^[A-Z]{1,20}$" about:"in place of access: exactly these methods; FETCH and PUSH are git's"`
	Paths   []string `json:"paths,omitempty" yaml:"paths,some" about:"such as /repos/** or /users/*/keys; default: /**"`
	Upgrade []string `json:"upgrade,omitempty" yaml:"upgrade,some" oneof:"websocket" about:"protocols that a request may change to"`
	Push    []string `json:"push,omitempty" yaml:"push,some" match:"^refs/[A-Za-z0-9._/*-]{1,200}$" about:"git refs that may be pushed to, such as refs/heads/agent/*"`

	Bytes       int64 `json:"bytes,omitempty" yaml:"bytes" match:"^[0-9]+$" about:"the most bytes sent there in one run"`
	Rate        int64 `json:"rate,omitempty" yaml:"rate" match:"^[0-9]+$" about:"the most requests in a minute; default: 12000"`
	Connections int64 `json:"connections,omitempty" yaml:"connections" match:"^[0-9]+$" about:"the most connections, or requests, at once; default: 1024"`
}

// NamedGrant is a grant of something by its name: groups of system calls, and
// what a later layer enforces: secrets, models, tools, messages, schedule,
// devices. Detail is its narrowing.
type NamedGrant struct {
	Grant
	Name   string            `json:"name"`
	Detail map[string]string `json:"detail,omitempty"`
}

// Variable is one environment variable of the agent.
type Variable struct {
	Grant
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Limits bound what a sandbox can use. Zero means zero: a plan always states
// every limit.
type Limits struct {
	Memory    int64         `json:"memory"`     // bytes
	CPUs      float64       `json:"cpus"`       // 1.5 = one and a half processors
	Processes int64         `json:"processes"`  // processes and threads
	OpenFiles int64         `json:"open_files"` // descriptors per process
	Disk      int64         `json:"disk"`       // bytes over all private places
	Output    int64         `json:"output"`     // bytes written to stdout and stderr together
	Time      time.Duration `json:"time"`       // wall clock, nanoseconds in JSON
}

// ImageKind is how the sandbox gets its root file system.
type ImageKind string

// The kinds of image.
const (
	ImageHost      ImageKind = "host"      // a read-only, filtered view of the host's /usr
	ImageDirectory ImageKind = "directory" // a root file system in a folder
	ImageOCI       ImageKind = "oci"       // a registry reference with a digest, a layout or an archive
)

// Image is a root file system.
type Image struct {
	Grant
	Kind ImageKind `json:"kind"`
	// Reference is the folder, the layout, the archive or name@sha256:… .
	Reference string `json:"reference,omitempty"`
}

// Identity is who the agent is, inside and outside.
type Identity struct {
	UID int `json:"uid"` // inside; the gid is the same
	// HostFolders tells whether the agent must read or write as the owner of
	// a granted folder: an idmapped mount as root, the owner's own uid without.
	HostFolders bool   `json:"host_folders"`
	Hostname    string `json:"hostname"`
}

// Subject is what a policy binds rules to: never a name that a manifest gives
// itself.
type Subject struct {
	Digest string `json:"digest,omitempty"` // sha256:… of the manifest's bytes
	Path   string `json:"path,omitempty"`   // the manifest's path on the owner's side
	Lock   string `json:"lock,omitempty"`   // its entry in nacre.lock
}

func (s Subject) String() string {
	if s.Lock != "" {
		return "lock:" + s.Lock
	}
	return cmp.Or(s.Path, s.Digest, OriginCommandLine)
}

// Plan is the compiled result of declared ∩ allowed. It is immutable once
// compiled, and all that an engine is given.
type Plan struct {
	Version     int            `json:"version"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Subject     Subject        `json:"subject"`
	Command     []string       `json:"command"`
	Workdir     string         `json:"workdir"`
	Image       Image          `json:"image"`
	Identity    Identity       `json:"identity"`
	Environment []Variable     `json:"environment"`
	Files       []FileGrant    `json:"files"`
	Blocked     []string       `json:"blocked"` // patterns of names masked in every host folder
	Network     []NetworkGrant `json:"network"`
	Loopback    bool           `json:"loopback"` // the sandbox's own loopback
	Secrets     []NamedGrant   `json:"secrets"`
	Models      []NamedGrant   `json:"models"`
	Tools       []NamedGrant   `json:"tools"`
	Messages    []NamedGrant   `json:"messages"`
	Schedule    []NamedGrant   `json:"schedule"`
	Syscalls    []NamedGrant   `json:"syscalls"` // groups of them, beyond the base list
	Devices     []NamedGrant   `json:"devices"`
	Limits      Limits         `json:"limits"`
	LimitGrants []Grant        `json:"limit_grants"` // one for each limit, with its reason and origins
	Accepted    []Tier         `json:"accepted"`
	Warnings    []Warning      `json:"warnings"`
	// Digest is the SHA-256 of the plan's canonical JSON without this field.
	Digest string `json:"digest"`
}

// Accepts tells whether the owner accepted a tier.
func (p Plan) Accepts(t Tier) bool { return slices.Contains(p.Accepted, t) }

// Caller is who asks for something sensitive. The zero value is nobody.
type Caller struct {
	UID  int    `json:"uid"`
	PID  int    `json:"pid"`
	Name string `json:"name"` // such as "cli" or "sandbox:ID"
}

// Event is what the audit records. The audit adds sequence, previous hash and
// time.
type Event struct {
	Kind     string            `json:"kind"` // such as "sandbox.start"
	Sandbox  string            `json:"sandbox,omitempty"`
	Plan     string            `json:"plan,omitempty"` // digest
	Subject  string            `json:"subject,omitempty"`
	Caller   Caller            `json:"caller"`
	Decision Effect            `json:"decision"`
	Rule     string            `json:"rule,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Detail   map[string]string `json:"detail,omitempty"`
}

// Recorder is the audit as everybody else sees it. Record returns once the
// event is on stable storage; an error means that it is not, and that what it
// announces must not happen.
type Recorder interface {
	Record(context.Context, Event) error
}

// Window is the size of a terminal in character cells.
type Window struct{ Rows, Columns uint16 }

// Streams are what a program in a sandbox reads and writes. With TTY set the
// program gets a terminal of its own and Err is unused.
type Streams struct {
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
	TTY  bool
	Size Window
	// Terminal, where set, drives the terminal instead of In and Out: it gets
	// the master's descriptor, wraps its writer with capped, so that the plan's
	// output limit holds, and returns once the master has reached its end, or
	// ctx is done: a moment after the sandbox is gone, since an agent may have
	// given the other side to somebody who keeps it open.
	Terminal func(ctx context.Context, master *os.File, capped func(io.Writer) io.Writer)
}

// Exit is how a program in a sandbox ended.
type Exit struct {
	Code   int    `json:"code"`   // exit code, or 128+signal
	Signal int    `json:"signal"` // 0 where it exited by itself
	Reason string `json:"reason"` // "exited", "signalled", "killed", "timeout", "output-limit", "memory-limit", "stopped", "blocked-name-appeared", or what the watchdog found
	// OOMKills is how many processes of the sandbox were killed for want of memory until then.
	OOMKills int64 `json:"oom_kills,omitempty"`
}

// Usage is what a sandbox uses now.
type Usage struct {
	Memory    int64         `json:"memory"` // bytes
	CPU       time.Duration `json:"cpu"`    // consumed, nanoseconds in JSON
	Processes int64         `json:"processes"`
	OOMKills  int64         `json:"oom_kills,omitempty"` // processes killed for want of memory
	Output    int64         `json:"output"`              // bytes written so far
	Scan      time.Duration `json:"scan"`                // what looking for blocked names took, before the start
	Started   time.Time     `json:"started"`
}

// Expectation is one line of a posture: what the plan says must hold, and what
// was read back from the running sandbox.
type Expectation struct {
	Layer    string `json:"layer"` // such as "namespaces", "seccomp"
	Item     string `json:"item"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	OK       bool   `json:"ok"`
}

// Engine turns a plan into a running sandbox.
type Engine interface {
	// Start starts the plan's command. It returns once the command runs with
	// every layer in place and read back, or with the reason why it does not.
	Start(context.Context, Plan, Streams) (Sandbox, error)
}

// Sandbox is a running container.
type Sandbox interface {
	ID() string
	// Wait returns when the command has ended and everything is torn down. An
	// error says what could not be torn down.
	Wait() (Exit, error)
	// Signal sends a signal to the command.
	Signal(signal int) error
	// Stop asks the command to end, and kills all after the grace.
	Stop(grace time.Duration) error
	// Exec runs another command under the same confinement; once ctx is done the
	// command is killed.
	Exec(ctx context.Context, command []string, s Streams) (Exit, error)
	// Usage is what it uses now.
	Usage() (Usage, error)
	// Posture reads back what holds now.
	Posture() ([]Expectation, error)
}
