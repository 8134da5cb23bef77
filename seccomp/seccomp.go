package seccomp

// Arch is an architecture by its Go name. The zero value is none.
type Arch string

// The architectures.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Options are what of a plan bears on its filter. The zero value makes none.
type Options struct {
	Arch     Arch
	Groups   []string // added to the base list
	Loopback bool     // without it there are no Internet sockets
	Watched  bool     // memory is counted by a watchdog: what no process maps must not be had
	Only     []string // unless nil: just these calls of all that, for a process of Nacre's own
}
