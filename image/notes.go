package image

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"
	"time"
)

// notes counts what was left out, with the first few names of each kind.
type notes map[string]*note

type note struct {
	count int
	names []string
}

func (n notes) add(kind, name string) {
	it := n[kind]
	if it == nil {
		it = new(note)
		n[kind] = it
	}
	it.count++
	if len(it.names) < 3 {
		it.names = append(it.names, fmt.Sprintf("%q", shorten(name)))
	}
}

// stripped notes which bits and attributes of the entry are not kept.
func (n notes) stripped(h *tar.Header) {
	if h.Typeflag == tar.TypeReg && h.Mode&0o6000 != 0 {
		n.add("setuid and setgid bits stripped", h.Name)
	}
	for key := range h.PAXRecords {
		if attribute, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			kind := "extended attributes left out"
			if attribute == "security.capability" {
				kind = "file capabilities stripped"
			}
			n.add(kind, h.Name)
		}
	}
}

// lines prints the notes, sorted.
func (n notes) lines() []string {
	var lines []string
	for kind, it := range n {
		more := ""
		if it.count > len(it.names) {
			more = ", …"
		}
		lines = append(lines, fmt.Sprintf("%s: %d (%s%s)", kind, it.count, strings.Join(it.names, ", "), more))
	}
	slices.Sort(lines)
	return lines
}

// Status is how far a download is.
type Status struct {
	Layer, Layers int   // the layer being read, from 1
	Done, Total   int64 // compressed bytes; Total is 0 where it is not known
}

// Progress is told how far a download is: not before a second has passed, and
// at most five times in each. It must not wait long.
type Progress func(Status)

// meter calls a Progress.
type meter struct {
	report Progress
	status Status
	next   time.Time
}

func newMeter(report Progress) *meter {
	return &meter{report: report, next: time.Now().Add(time.Second)}
}

// begin says how much there is.
func (m *meter) begin(layers []layer) {
	m.status.Layers = len(layers)
	for _, l := range layers {
		if l.size < 0 {
			m.status.Total = 0
			return
		}
		m.status.Total += l.size
	}
}

// add counts bytes read.
func (m *meter) add(n int) {
	m.status.Done += int64(n)
	if now := time.Now(); m.report != nil && now.After(m.next) {
		m.next = now.Add(200 * time.Millisecond)
		m.report(m.status)
	}
}
