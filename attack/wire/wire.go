// Package wire is what the judge outside a sandbox and the attacking program
// inside it say to each other: the list of probes, the places of the canaries
// and one line for each result. Standard library only.
package wire

import "time"

// Verdict is how a probe ended.
type Verdict string

// The verdicts. Started is not one: it announces that a probe begins, so that
// the judge can tell a probe that was killed from one that never ran.
const (
	Contained     Verdict = "contained"      // what the probe tried was refused or led nowhere
	Escaped       Verdict = "escaped"        // it was possible
	Info          Verdict = "info"           // no boundary crossed, but worth knowing
	NotApplicable Verdict = "not-applicable" // what it attacks does not exist on this machine
	Error         Verdict = "error"          // no verdict could be reached
	Started       Verdict = "started"
)

// Proof is how the judge can see for itself. The zero value is "it cannot".
type Proof string

// The proofs.
const (
	ByClaim   Proof = ""         // only the program inside can tell
	ByArrival Proof = "arrival"  // a token must arrive at a canary outside
	BySecret  Proof = "secret"   // a planted secret must come back
	ByFolder  Proof = "folder"   // something must lie in the granted folder afterwards
	ByProcess Proof = "process"  // a process must live after the run
	ByHost    Proof = "host"     // a value must equal the host's own
	ByOutput  Proof = "output"   // the bytes that came out are counted or searched
	BySetting Proof = "settings" // a kernel setting must have changed
	ByReach   Proof = "reach"    // contained only if what is granted was reached
)

// SecretPrefix begins every planted secret, and the run's tag follows, so that
// a probe recognises one without being told which, and leaves those of another
// judge on the same machine alone.
const SecretPrefix = "nacre-secret-"

// ArrivalPrefix begins every token that a probe sends outside; the run and the
// probe's id follow, separated by spaces, then a newline.
const ArrivalPrefix = "nacre-arrival "

// The probes that look on while the outside changes the granted folder, and the
// name of what is moved in.
const (
	BlockedReplaced = "descriptors.blocked-replaced"
	BlockedMovedIn  = "descriptors.blocked-moved-in"
	MovedIn         = "moved-in"
)

// Spec describes one probe. It is what --list-json prints.
type Spec struct {
	ID        string `json:"id"` // class.name
	Class     string `json:"class"`
	Reference string `json:"reference"` // CVE, manual page, RFC or kernel document
	Mechanism string `json:"mechanism"` // one sentence
	Contained string `json:"contained"` // what contained looks like
	// Needs names what must exist outside for the probe to mean anything:
	// "path:/a|/b" (one of), "arch:amd64", "canary:name".
	Needs []string `json:"needs,omitempty"`
	Proof Proof    `json:"proof,omitempty"`
	// Alone probes get a run of their own: they may take the sandbox with them.
	Alone bool `json:"alone,omitempty"`
	// Terminal probes run with a terminal for standard input and output.
	Terminal bool `json:"terminal,omitempty"`
	// Safe probes do no harm even without any sandbox.
	Safe    bool          `json:"safe,omitempty"`
	Timeout time.Duration `json:"timeout"`
}

// Result is one line of the program's output. What is in it was written by a
// hijacked agent: nothing in it is believed where the judge can look itself.
type Result struct {
	Probe    string  `json:"probe"`
	Verdict  Verdict `json:"verdict"`
	Evidence string  `json:"evidence,omitempty"`
	Secret   string  `json:"secret,omitempty"` // a planted secret that was read
}

// Limits are what the sandbox was told to enforce; zero means not told. The
// bombs stop a little above them, and at their own caps in any case.
type Limits struct {
	Memory    int64   `json:"memory,omitempty"`
	Processes int64   `json:"processes,omitempty"`
	OpenFiles int64   `json:"open_files,omitempty"`
	Disk      int64   `json:"disk,omitempty"`
	Output    int64   `json:"output,omitempty"`
	CPUs      float64 `json:"cpus,omitempty"`
}

// Config tells the program where the canaries are. It holds no secret.
type Config struct {
	Run    string   `json:"run"`    // random, one per run
	Tag    string   `json:"tag"`    // in every secret of this run
	Probes []string `json:"probes"` // which to run, in order
	Folder string   `json:"folder"` // the granted folder, as seen inside
	Safe   bool     `json:"safe,omitempty"`
	Limits Limits   `json:"limits"`

	Secrets    []string `json:"secrets"`     // files outside any grant
	WritePlace []string `json:"write_place"` // host folders in which nothing may appear

	TCP4     int    `json:"tcp4"` // ports of the host's listeners on its loopback
	TCP6     int    `json:"tcp6"`
	UDP4     int    `json:"udp4"`
	UDP6     int    `json:"udp6"`
	Abstract string `json:"abstract"` // abstract Unix socket, without the leading NUL
	Pathname string `json:"pathname"` // Unix socket outside any grant
	Granted  string `json:"granted"`  // docker.sock inside the granted folder, as seen inside

	ShmID  int    `json:"shm_id"` // System V identifiers
	MsgID  int    `json:"msg_id"`
	Queue  string `json:"queue"`   // POSIX message queue, without the slash
	DevShm string `json:"dev_shm"` // path of a shared memory object
	Key    string `json:"key"`     // description of a key in the user keyring

	Victim        int    `json:"victim"`         // pid on the host
	VictimAddress uint64 `json:"victim_address"` // of a secret in its memory
	VictimLength  int    `json:"victim_length"`
	Terminal      string `json:"terminal"` // the host's /dev/pts/N

	Outward Outward `json:"outward"` // what a sandbox with a network is granted, and not

	SiblingPort     int    `json:"sibling_port,omitempty"` // another sandbox's listener
	SiblingAbstract string `json:"sibling_abstract,omitempty"`
	SiblingFile     string `json:"sibling_file,omitempty"` // below its private /tmp
}
