// Package job is what the host of a test machine and the program inside it say
// to each other: the job that travels in on one disk, and the results that
// travel out on another.
package job

import "time"

// The places of the guest's side.
const (
	Dir     = "/srv/vm"         // where the payload lies, readable by everybody
	Guest   = Dir + "/guest"    // the program inside the machine
	File    = Dir + "/job.json" // the job
	Unit    = "/etc/systemd/system/vm-job.service"
	Tester  = "tester" // the plain user
	Started = "vm: "   // begins each console line meant for the host
)

// The serial numbers by which the disks are told apart.
const (
	DiskRoot    = "root"
	DiskPayload = "payload"
	DiskResults = "results"
	DiskModules = "modules"
)

// Step is one command to run in the machine.
type Step struct {
	Name string `json:"name"`
	// User is root or tester.
	User string `json:"user"`
	// Bare runs the command outside any login session: no session bus in the
	// environment, and a cgroup that belongs to the system, as a cron job or
	// a container's shell has it.
	Bare bool `json:"bare,omitempty"`
	// Command is a line for sh -c, started in Dir.
	Command string            `json:"command"`
	Env     map[string]string `json:"env,omitempty"`
	Dir     string            `json:"dir,omitempty"`     // default: the payload
	Timeout time.Duration     `json:"timeout,omitempty"` // default: a minute
}

// Result is how a step ended.
type Result struct {
	Name     string        `json:"name"`
	User     string        `json:"user,omitempty"`
	Exit     int           `json:"exit"` // 128+signal; 124 or 137 after a timeout
	TimedOut bool          `json:"timed_out,omitempty"`
	Output   string        `json:"output"` // stdout and stderr, as they came
	Took     time.Duration `json:"took"`
}

// Setup is how the machine differs from a stock one, beyond its kernel line.
type Setup struct {
	Sysctl map[string]string `json:"sysctl,omitempty"`
	// NoSession leaves the users without lingering: no service manager and no
	// bus of their own runs. Steps must be bare.
	NoSession bool `json:"no_session,omitempty"`
	// NoCPU delegates the users' cgroups to them without the cpu controller.
	NoCPU bool `json:"no_cpu,omitempty"`
}

// Job is all that the machine is to do.
type Job struct {
	// Build finishes a half-made root file system instead of booting it.
	Build bool   `json:"build,omitempty"`
	Setup Setup  `json:"setup"`
	Steps []Step `json:"steps"`
}
