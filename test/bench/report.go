package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// report is all figures of a session.
type report struct {
	Machine map[string]string `json:"machine"`
	Starts  []figure          `json:"starts,omitempty"`
	Memory  []memoryFigure    `json:"memory,omitempty"`
	Inside  []insideFigure    `json:"inside,omitempty"`
	Scan    []figure          `json:"scan,omitempty"`
	Notes   []string          `json:"notes,omitempty"`
}

// figure is one thing that was timed, in milliseconds.
type figure struct {
	Name     string  `json:"name"`
	Enforces string  `json:"enforces,omitempty"`
	Rounds   int     `json:"rounds"`
	Least    float64 `json:"least_ms"`
	Median   float64 `json:"median_ms"`
	P95      float64 `json:"p95_ms"`
	Relative float64 `json:"of_bwrap,omitempty"` // median beside that of bwrap with a filter
	First    float64 `json:"first_output_median_ms,omitempty"`

	FirstRelative float64 `json:"first_output_of_bwrap,omitempty"`
}

func figureOf(name, enforces string, times []time.Duration) figure {
	slices.Sort(times)
	f := figure{Name: name, Enforces: enforces, Rounds: len(times)}
	if len(times) > 0 {
		f.Least, f.Median, f.P95 = ms(times[0]), ms(times[len(times)/2]), ms(times[len(times)*95/100])
	}
	return f
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r report) print(w io.Writer) {
	for _, k := range []string{"kernel", "processor", "processors", "memory", "load", "go"} {
		fmt.Fprintf(w, "%-11s %s\n", k, r.Machine[k])
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(format string, cells ...any) { fmt.Fprintf(table, format+"\n", cells...) }
	if len(r.Starts) > 0 {
		line("\nstart to\tfirst output\t× bwrap\texit: least\tmedian\tp95\t× bwrap\tenforces")
	}
	for _, f := range r.Starts {
		line("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%s", f.Name, f.First, f.FirstRelative, f.Least, f.Median, f.P95, f.Relative, f.Enforces)
	}
	if len(r.Memory) > 0 {
		line("\nidle sandboxes\tof\tMiB PSS each")
	}
	for _, f := range r.Memory {
		line("%s\t%d\t%.2f", f.Name, f.Count, f.MiB)
	}
	if len(r.Inside) > 0 {
		line("\ninside\thost\tsandbox\thost/sandbox")
	}
	for _, f := range r.Inside {
		line("%s\t%s\t%s\t%.3f", f.Name, f.Host, f.Sandbox, f.Ratio)
	}
	if len(r.Scan) > 0 {
		line("\nscan\tleast\tmedian\tp95")
	}
	for _, f := range r.Scan {
		line("%s\t%.1f\t%.1f\t%.1f", f.Name, f.Least, f.Median, f.P95)
	}
	table.Flush()
	for _, n := range r.Notes {
		fmt.Fprintln(w, "note:", n)
	}
}

// machine describes where this was measured.
func machine() map[string]string {
	m := map[string]string{"processors": fmt.Sprint(runtime.NumCPU()), "go": runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m["kernel"] = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	for file, key := range map[string]string{"/proc/cpuinfo": "model name", "/proc/meminfo": "MemTotal"} {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
				m[map[string]string{"model name": "processor", "MemTotal": "memory"}[key]] = strings.TrimSpace(v)
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	m["load"] = strings.TrimSpace(string(load))
	return m
}
