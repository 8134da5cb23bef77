package learn

import (
	"fmt"
	"strconv"
	"strings"

	"nacre"
	"nacre/egress"
	"nacre/manifest"
	"nacre/pattern"
	"nacre/remedy"
)

// Manifest writes a proposal as agent.yaml, each line with what it comes from.
func (p *Proposal) Manifest() []byte {
	w := &writer{}
	w.line("# A proposal: what one run of this command did, or tried to do, with nothing")
	w.line("# granted. It may have been led to ask for more than it needs: read every line.")
	w.line("# It grants nothing by itself: your policy decides (nacre plan --agent FILE).")
	w.line("# %s", p.ended())
	w.line("version: 1")
	w.line("name: %s", remedy.Quote(p.Name))
	w.line("command: %s", remedy.Flow(p.Command))
	w.files(p)
	w.network(p.Network)
	if len(p.Syscalls) > 0 {
		w.line("")
		w.line("syscalls:")
		for _, s := range p.Syscalls {
			w.evidence(s.Evidence)
			w.line("  - %s", remedy.Quote(s.Group))
		}
	}
	if len(p.Nothing) > 0 {
		w.line("")
		w.line("# Denied, and no line would allow it:")
		for _, s := range p.Nothing[:min(len(p.Nothing), maxNothing)] {
			w.line("#   %s", quoted(s))
		}
	}
	return []byte(w.String())
}

// maxNothing bounds what is told that no line would allow.
const maxNothing = 20

func (p *Proposal) ended() string {
	s := fmt.Sprintf("It ended with %d", p.Ended.Code)
	if p.Ended.Code != 0 {
		s += ": where it stopped because of a denial, it will need more than is here"
	}
	return s + "."
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *writer) files(p *Proposal) {
	if p.Folder == "" && len(p.Granted) == 0 {
		return
	}
	w.line("")
	w.line("files:")
	if p.Folder != "" {
		entry := manifest.File{Path: p.Folder}
		w.line("  # read: %s", some(p.Read))
		w.line("  # written, made or removed: %s", some(p.Written))
		mark := ""
		switch {
		case len(p.Written) > 0:
			entry.Access = nacre.Write
		case len(p.Read) == 0:
			w.line("  # As far as the file system tells, it used none of them; it may have listed them.")
			mark = "# "
			if len(p.Granted) == 0 {
				w.line("  []")
			}
		}
		w.line("  %s- %s", mark, remedy.Flow(entry))
	}
	for _, g := range p.Granted {
		w.line("  # granted on the command line of nacre learn")
		w.line("  - %s", g)
	}
}

func (w *writer) network(list []Destination) {
	if len(list) == 0 {
		return
	}
	w.line("")
	sure := false
	for _, d := range list {
		if d.Unsure == "" && !sure {
			sure = true
			w.line("network:")
		}
	}
	for _, d := range list {
		if d.Unsure == "" {
			if d.Asked {
				w.line("  # asked, allowed by you")
			}
			w.evidence(d.Evidence)
			if d.pushes() {
				w.line("  # It wants to push too; to which refs, name here: push: [refs/heads/...]")
			}
			w.line("  - %s", remedy.Flow(d.entry()))
		}
	}
	for _, d := range list {
		if d.Unsure != "" {
			w.line("# Left out: %s.", d.Unsure)
			w.evidence(d.Evidence)
			if d.Port != 0 && d.writable() {
				w.line("#  - %s", remedy.Flow(d.entry()))
			}
		}
	}
}

// evidence says how often, when first, by whom, and some of what it was.
func (w *writer) evidence(e Evidence) {
	s := "  # once"
	if e.Count > 1 {
		s = fmt.Sprintf("  # %d times", e.Count)
	}
	if !e.First.IsZero() {
		s += ", first at " + e.First.UTC().Format("15:04:05 UTC")
	}
	if len(e.By) > 0 {
		s += ", by " + quotedAll(e.By)
	}
	w.line("%s: %s", s, quotedAll(e.What[:min(len(e.What), maxWhat)]))
}

func quotedAll(list []string) string {
	var all []string
	for _, s := range list {
		all = append(all, quoted(s))
	}
	return strings.Join(all, ", ")
}

// harmless is text that a comment may hold as it is.
var harmless = pattern.Of(`^[A-Za-z0-9 /._~@+:,=&?%*()-]+$`)

// quoted is hostile text on one line: it cannot end its comment.
func quoted(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	if harmless().MatchString(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// some names a few of many.
func some(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	s := fmt.Sprintf("%d, ", len(names)) + quotedAll(names[:min(len(names), maxWhat)])
	if len(names) > maxWhat {
		s += ", ..."
	}
	return s
}

// pushes tells whether a push was tried, to refs that were not seen.
func (d *Destination) pushes() bool {
	return len(d.Push) == 0 && strings.Contains(strings.Join(d.Methods, " "), egress.Push)
}
