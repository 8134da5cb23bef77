package manifest

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"time"

	"nacre"
)

// Limits are asked for in a manifest, and are the most in a policy. What is
// not stated is left to the defaults.
type Limits struct {
	Memory    Amount `yaml:"memory" about:"such as 2GiB"`
	CPUs      Amount `yaml:"cpus" about:"such as 1.5"`
	Processes Amount `yaml:"processes" about:"processes and threads"`
	OpenFiles Amount `yaml:"open-files" about:"descriptors of one process"`
	Disk      Amount `yaml:"disk" about:"all private places together, such as 1GiB"`
	Output    Amount `yaml:"output" about:"what it may print, such as 64MiB"`
	Time      Amount `yaml:"time" about:"wall clock, such as 30m or 1h30m"`
	Origin    nacre.Origin
}

// Amount is one limit. Zero is not stated.
type Amount struct {
	Text   Quantity `yaml:",scalar"`
	N      int64    // in the limit's own unit: bytes, thousandths of a processor, pieces, nanoseconds
	Origin nacre.Origin
}

// Quantity is a number with or without a unit, as written.
type Quantity string

// UnmarshalText keeps the text; what it means depends on the limit.
func (q *Quantity) UnmarshalText(b []byte) error {
	*q = Quantity(b)
	return nil
}

// Limit is one limit with its name and how it is written.
type Limit struct {
	Name    string
	Default int64
	Parse   func(string) (int64, error)
	Format  func(int64) string
	*Amount
}

// Each lists the limits in a fixed order. The defaults are also the most that
// is allowed where a policy states nothing.
func (l *Limits) Each() []Limit {
	return []Limit{
		{"memory", 2 << 30, parseBytes, formatBytes, &l.Memory},
		{"cpus", 2000, parseCPUs, formatCPUs, &l.CPUs},
		{"processes", 512, parseCount, formatCount, &l.Processes},
		{"open-files", 4096, parseCount, formatCount, &l.OpenFiles},
		{"disk", 1 << 30, parseBytes, formatBytes, &l.Disk},
		{"output", 256 << 20, parseBytes, formatBytes, &l.Output},
		{"time", int64(time.Hour), parseTime, formatTime, &l.Time},
	}
}

// Plan is the limits as a plan states them.
func (l *Limits) Plan() nacre.Limits {
	return nacre.Limits{Memory: l.Memory.N, CPUs: float64(l.CPUs.N) / 1000,
		Processes: l.Processes.N, OpenFiles: l.OpenFiles.N, Disk: l.Disk.N,
		Output: l.Output.N, Time: time.Duration(l.Time.N)}
}

// FromPlan is the inverse of Plan.
func FromPlan(p nacre.Limits) *Limits {
	return &Limits{Memory: Amount{N: p.Memory}, CPUs: Amount{N: int64(p.CPUs*1000 + 0.5)},
		Processes: Amount{N: p.Processes}, OpenFiles: Amount{N: p.OpenFiles}, Disk: Amount{N: p.Disk},
		Output: Amount{N: p.Output}, Time: Amount{N: int64(p.Time)}}
}

var size = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,3})?) ?(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB|TB)?$`)

var units = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}

func parseBytes(s string) (int64, error) {
	m := size.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("expected a size such as 512MiB or 2GiB, found %q", s)
	}
	n, _ := new(big.Rat).SetString(m[1])
	n.Mul(n, new(big.Rat).SetInt64(units[m[2]]))
	whole := new(big.Int).Quo(n.Num(), n.Denom())
	if !whole.IsInt64() || whole.Int64() > 1<<50 {
		return 0, fmt.Errorf("expected a size of at most 1024TiB, found %q", s)
	}
	return whole.Int64(), nil
}

func formatBytes(n int64) string {
	for _, u := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if n >= units[u] && n%units[u] == 0 {
			return strconv.FormatInt(n/units[u], 10) + u
		}
	}
	return strconv.FormatInt(n, 10)
}

var decimal = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,3})?$`)

func parseCPUs(s string) (int64, error) {
	if !decimal.MatchString(s) {
		return 0, fmt.Errorf("expected a number of processors such as 1.5, found %q", s)
	}
	n, err := strconv.ParseFloat(s, 64)
	return int64(n*1000 + 0.5), err
}

func formatCPUs(n int64) string { return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64) }

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > 1<<22 {
		return 0, fmt.Errorf("expected a whole number of at most %d, found %q", 1<<22, s)
	}
	return n, nil
}

func formatCount(n int64) string { return strconv.FormatInt(n, 10) }

func parseTime(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d > 365*24*time.Hour {
		return 0, fmt.Errorf("expected a time such as 90s, 30m or 1h30m, at most a year, found %q", s)
	}
	return int64(d), nil
}

func formatTime(n int64) string { return time.Duration(n).String() }
