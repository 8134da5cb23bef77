package manifest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"nacre"
	"nacre/strict"
)

// Limits are asked for in a manifest, and are the most in a policy. What is
// not stated is left to the defaults.
type Limits struct {
	Memory    Amount `yaml:"memory" about:"such as 2GiB, at least 16MiB"`
	CPUs      Amount `yaml:"cpus" about:"such as 1.5, at least 0.01"`
	Processes Amount `yaml:"processes" about:"processes and threads"`
	OpenFiles Amount `yaml:"open-files" about:"descriptors of one process, at least 64"`
	Disk      Amount `yaml:"disk" about:"all private places together, such as 1GiB"`
	Output    Amount `yaml:"output" about:"what it may print, such as 64MiB"`
	Time      Amount `yaml:"time" about:"wall clock, such as 30m or 1h30m, at least 1ms"`
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

// Limit is one limit with its name and what it is measured in. With less than the
// least no sandbox can be built, or nothing can run in it.
type Limit struct {
	Name           string
	Least, Default int64
	measure
	*Amount
}

// measure is a kind of amount; without units it is a time.
type measure struct {
	about string
	most  int64
	units map[string]float64
}

var (
	size = measure{"a size such as 512MiB or 2GiB, at most 1024TiB", 1 << 50, map[string]float64{"": 1, "B": 1, "KiB": 1 << 10,
		"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}}
	processors = measure{"a number of processors such as 1.5, at most 10000", 1e7, map[string]float64{"": 1000}}
	count      = measure{"a whole number of at most 4194304", 1 << 22, map[string]float64{"": 1}}
	duration   = measure{"a time such as 90s, 30m or 1h30m, at most a year", int64(365 * 24 * time.Hour), nil}
)

// Each lists the limits in a fixed order. The defaults are also the most that
// is allowed where a policy states nothing.
func (l *Limits) Each() []Limit {
	return []Limit{
		{"memory", 16 << 20, 2 << 30, size, &l.Memory},
		{"cpus", 10, 2000, processors, &l.CPUs},
		{"processes", 1, 512, count, &l.Processes},
		{"open-files", 64, 4096, count, &l.OpenFiles},
		{"disk", 1, 1 << 30, size, &l.Disk},
		{"output", 1, 256 << 20, size, &l.Output},
		{"time", int64(time.Millisecond), int64(time.Hour), duration, &l.Time},
	}
}

var number = regexp.MustCompile(`^([0-9]+(?:\.[0-9]{1,3})?)(?: ?([A-Za-z]+))?$`)

// Parse reads an amount as people write it: no less than the least.
func (m Limit) Parse(s string) (int64, error) {
	var n float64
	if m.units == nil {
		d, _ := time.ParseDuration(s) // 0 where it is none
		n = float64(d)
	} else if part := number.FindStringSubmatch(s); part != nil {
		n, _ = strconv.ParseFloat(part[1], 64) // the pattern lets nothing else through
		if n *= m.units[part[2]]; m.units[part[2]] != 1 {
			n = math.Round(n)
		}
	}
	if n < float64(m.Least) || n > float64(m.most) || n != math.Trunc(n) {
		return 0, fmt.Errorf("expected %s, and at least %s; found %q", m.about, m.Format(m.Least), s)
	}
	return int64(n), nil
}

// Format writes an amount as Parse reads it.
func (m measure) Format(n int64) string {
	if m.units == nil {
		return time.Duration(n).String()
	}
	for _, u := range []string{"TiB", "GiB", "TB", "GB", "MiB", "MB", "KiB", "kB"} {
		if unit := int64(m.units[u]); unit > 0 && n >= unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10) + u
		}
	}
	return strconv.FormatFloat(float64(n)/m.units[""], 'f', -1, 64)
}

// Check reads what is written.
func (l *Limits) Check() error {
	for _, limit := range l.Each() {
		n, err := limit.Parse(string(limit.Text))
		if err != nil && *limit.Amount != (Amount{}) {
			return strict.Invalid(limit.Origin, "limits: %s: %v", limit.Name, err)
		}
		limit.N = n
	}
	return nil
}

// Plan is the limits as a plan states them.
func (l *Limits) Plan() nacre.Limits {
	return nacre.Limits{Memory: l.Memory.N, CPUs: float64(l.CPUs.N) / 1000,
		Processes: l.Processes.N, OpenFiles: l.OpenFiles.N, Disk: l.Disk.N,
		Output: l.Output.N, Time: time.Duration(l.Time.N)}
}
