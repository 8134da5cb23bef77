// Command share writes what an installed Nacre has beside its programs: manual
// pages, the completions of shells, the AppArmor profile, and the licences of
// all that is linked in. It runs in the tree's root, when Nacre is built, and
// writes the same bytes for the same tree, version and $SOURCE_DATE_EPOCH.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"nacre/cli"
)

// output is the folder that becomes PREFIX/share.
type output struct {
	dir, version string
	date         time.Time
}

func main() {
	o := output{}
	flag.StringVar(&o.version, "version", "dev", "the version that pages show")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: share [-version VERSION] FOLDER")
		os.Exit(2)
	}
	o.dir = flag.Arg(0)
	if err := o.write(); err != nil {
		fmt.Fprintln(os.Stderr, "share:", err)
		os.Exit(1)
	}
}

func (o output) write() error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	o.date = time.Unix(seconds, 0).UTC()
	if err := os.RemoveAll(o.dir); err != nil {
		return err
	}
	root := cli.Root(&cli.App{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ, Version: o.version})
	// The completions first: the pages change the tree's texts.
	for _, step := range []func(*cobra.Command) error{o.completions, o.commandPages, o.filePages, o.profile, o.licences} {
		if err := step(root); err != nil {
			return err
		}
	}
	return nil
}

// file writes one file, and makes its folder.
func (o output) file(name string, write func(io.Writer) error) error {
	path := filepath.Join(o.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}

func (o output) completions(root *cobra.Command) error {
	for name, write := range map[string]func(io.Writer) error{
		"bash-completion/completions/nacre":    func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh/site-functions/_nacre":            root.GenZshCompletion,
		"fish/vendor_completions.d/nacre.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		if err := o.file(name, write); err != nil {
			return err
		}
	}
	return nil
}

func (o output) profile(*cobra.Command) error {
	text, err := os.ReadFile("packaging/apparmor/nacre")
	if err != nil {
		return err
	}
	return o.file("nacre/apparmor/nacre", func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
