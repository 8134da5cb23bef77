package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// page writes a manual page, packed as manuals are.
func (o output) page(name string, section int, write func(io.Writer) error) error {
	return o.file(fmt.Sprintf("man/man%d/%s.%d.gz", section, name, section), func(w io.Writer) error {
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		if err := write(z); err != nil {
			return err
		}
		return z.Close()
	})
}

// commandPages writes a page for each command that people see.
func (o output) commandPages(cmd *cobra.Command) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	cmd.DisableAutoGenTag = true
	if !cmd.HasParent() {
		cmd.Long += "\n\nThe files that it reads are in agent.yaml(5) and policy.yaml(5), its exit codes in nacre-exit-codes(1)."
	}
	cmd.Long = paragraphs(cmd.Long)
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Date: &o.date, Source: "nacre " + o.version, Manual: "Nacre"}
	if err := o.page(name, 1, func(w io.Writer) error { return doc.GenMan(cmd, header, w) }); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := o.commandPages(sub); err != nil {
			return err
		}
	}
	return nil
}

// paragraphs makes Markdown of a help text: lines that are set in stay as they are.
func paragraphs(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		set := strings.HasPrefix(line, "  ")
		if set != inside && strings.TrimSpace(line) != "" {
			b.WriteString("\n```\n\n")
			inside = set
		}
		b.WriteString(line)
	}
	if inside {
		b.WriteString("\n```\n")
	}
	return b.String()
}

var (
	title = regexp.MustCompile(`^# (\S+): (.+)\n`)
	// link is a link to another file of the tree, which a manual page has not.
	link = regexp.MustCompile(`\[([^\]]+)\]\([^):]+\)`)
)

// filePages writes the pages of the two files that people write.
func (o output) filePages(*cobra.Command) error {
	for name, source := range map[string]string{"agent.yaml": "docs/MANIFEST.md", "policy.yaml": "docs/POLICY.md"} {
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		m := title.FindSubmatch(text)
		if m == nil || string(m[1]) != name {
			return fmt.Errorf("%s does not begin with # %s: …", source, name)
		}
		page := fmt.Sprintf("%% %q \"5\" %q %q %q\n# NAME\n%s - %s\n\n# DESCRIPTION\n%s\n\n# SEE ALSO\n**nacre**(1), **nacre-policy**(1), **nacre-schema**(1)\n",
			strings.ToUpper(name), o.date.Format("Jan 2006"), "nacre "+o.version, "Nacre", name, m[2], link.ReplaceAll(text[len(m[0]):], []byte("$1")))
		if err := o.page(name, 5, func(w io.Writer) error {
			_, err := w.Write(md2man.Render([]byte(page)))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
