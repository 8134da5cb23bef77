package attack

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"nacre/attack/wire"
)

// Entry is one probe with its verdict.
type Entry struct {
	wire.Spec
	Verdict  wire.Verdict `json:"verdict"`
	Evidence string       `json:"evidence"`
	// Proven tells whether the judge saw it from outside; otherwise it is what
	// the program inside said.
	Proven bool `json:"proven"`
}

// Report is the score of one sandbox.
type Report struct {
	Name    string        `json:"name"`
	Flags   string        `json:"flags"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took"`
	Entries []Entry       `json:"entries"`
	// Leftovers are processes, settings and files that no single probe answers
	// for and that should not be there.
	Leftovers []string `json:"leftovers"`
	Noise     int      `json:"noise"` // lines of output that were no result
}

// Count is how many probes ended with the verdict.
func (r Report) Count(v wire.Verdict) int {
	n := 0
	for _, e := range r.Entries {
		if e.Verdict == v {
			n++
		}
	}
	return n
}

// Held tells whether the sandbox held: at least one probe was contained, none
// escaped, none is without a verdict, and nothing was left behind.
func (r Report) Held() bool {
	return r.Count(wire.Contained) > 0 && r.Count(wire.Escaped) == 0 && r.Count(wire.Error) == 0 && len(r.Leftovers) == 0
}

// Entry finds a probe's entry.
func (r Report) Entry(id string) (Entry, bool) {
	i := slices.IndexFunc(r.Entries, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		return Entry{}, false
	}
	return r.Entries[i], true
}

func (r Report) sorted() []Entry {
	entries := slices.Clone(r.Entries)
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return entries
}

func (r Report) summary() string {
	parts := []string{}
	for _, v := range []wire.Verdict{wire.Escaped, wire.Contained, wire.Info, wire.NotApplicable, wire.Error} {
		parts = append(parts, fmt.Sprintf("%d %s", r.Count(v), v))
	}
	probes := "1 probe"
	if n := len(r.Entries); n != 1 {
		probes = fmt.Sprintf("%d probes", n)
	}
	return fmt.Sprintf("%s: %s", probes, strings.Join(parts, ", "))
}

// Table writes the scoreboard as plain text.
func (r Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n\n", clean(r.Name), clean(r.Flags))
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PROBE\tVERDICT\tSEEN FROM\tEVIDENCE")
	for _, e := range r.sorted() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.ID, e.Verdict, e.seenFrom(), shortened(e.Evidence, 110))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range r.Leftovers {
		fmt.Fprintf(w, "left behind: %s\n", l)
	}
	_, err := fmt.Fprintf(w, "\n%s, in %s\n", r.summary(), r.Took.Round(100*time.Millisecond))
	return err
}

func (e Entry) seenFrom() string {
	if e.Proven {
		return "outside"
	}
	return "inside"
}

func shortened(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// JSON writes the whole report.
func (r Report) JSON(w io.Writer) error {
	r.Entries = r.sorted()
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Markdown writes the scoreboard for publication: the flags stand above the
// score, since a score without them says nothing.
func (r Report) Markdown(w io.Writer) error {
	fmt.Fprintf(w, "## %s\n\nStarted as `%s`, %s.\n\n%s.\n\n", clean(r.Name), strings.ReplaceAll(clean(r.Flags), "`", "'"),
		r.Started.Format(time.DateOnly), r.summary())
	fmt.Fprintln(w, "| probe | verdict | seen from | evidence | reference |\n|---|---|---|---|---|")
	cell := strings.NewReplacer("|", "\\|", "<", "&lt;", "`", "'", "[", "\\[")
	for _, e := range r.sorted() {
		_, err := fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", e.ID, e.Verdict, e.seenFrom(), cell.Replace(e.Evidence), cell.Replace(e.Reference))
		if err != nil {
			return err
		}
	}
	for _, l := range r.Leftovers {
		fmt.Fprintf(w, "\nLeft behind: %s\n", cell.Replace(l))
	}
	return nil
}
