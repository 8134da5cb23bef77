package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"nacre/load"
	"nacre/mountlist"
)

type importOptions struct {
	*policyOptions
	main  string
	write bool
}

func newPolicyImport(p *policyOptions) *cobra.Command {
	o := &importOptions{policyOptions: p}
	cmd := &cobra.Command{
		Use:   "import [flags] FILE",
		Short: "Say NanoClaw's mount allow-list as a policy",
		Long: `Read a mount-allowlist.json of NanoClaw and print a policy with the same meaning,
or a stricter one. What cannot be carried over, and what differs, is said line by
line. With --write it is added to your policy, after the difference was shown;
what your policy allows already stays.`,
		Example: "  nacre policy import ~/.config/nanoclaw/mount-allowlist.json\n" +
			"  nacre policy import mount-allowlist.json --main ~/agents/main/agent.yaml --write",
		Args: takes(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&o.main, "main", "", "the manifest `FILE` of the agent that may write where only the main group may")
	cmd.Flags().BoolVar(&o.write, "write", false, "add it to the policy")
	return cmd
}

func (o *importOptions) run(ctx context.Context, file string) error {
	who, err := o.app.owner()
	if err != nil {
		return err
	}
	path, err := o.path(who)
	if err != nil {
		return err
	}
	text, err := o.translate(file, mountlist.Options{Home: who.home, Policies: spellings(path, who.ceilingPath()), Real: realPath})
	switch {
	case err != nil:
		return err
	case text == "":
		o.app.note("%s allows nothing: there is nothing to add", file)
		return nil
	case !o.write:
		_, err = fmt.Fprintf(o.app.Out, "version: 1\n%s", text) // quoted where it has to be
		return err
	}
	edit := policyEdit{path: path, owner: who, line: text, show: func(old, new []byte) error {
		_, err := o.app.Out.Write(diff.Diff(path, old, path+" (new)", new))
		return err
	}}
	changed, err := edit.apply(ctx)
	if err == nil && !changed {
		_, err = fmt.Fprintf(o.app.Out, "%s: says so already\n", path)
	}
	return err
}

// translate reads the list, and says on the way what differs.
func (o *importOptions) translate(file string, options mountlist.Options) (string, error) {
	data, _, err := load.File(file)
	if err != nil {
		return "", err
	}
	list, err := mountlist.Parse(file, data)
	if err != nil {
		return "", err
	}
	if o.main != "" {
		source, err := load.Manifest(o.main)
		if err != nil {
			return "", err
		}
		options.Main = source.Path
	}
	text, notes, err := list.Policy(options)
	for _, n := range notes {
		o.app.note("%s: %s", n.At, n.Text)
	}
	return text, err
}

// realPath is a path without symbolic links, as far as it exists.
func realPath(path string) string {
	for rest := ""; ; path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest) {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, rest)
		}
		if !os.IsNotExist(err) || path == "/" {
			return filepath.Join(path, rest)
		}
	}
}
