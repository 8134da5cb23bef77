package cli

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nacre/fault"
	"nacre/policy"
	"nacre/skill"
	"nacre/skill/lock"
	"nacre/skill/store"
)

// source is where a skill comes from.
type source struct {
	kind   string // folder, archive, import, git, oci
	place  string
	path   string // the folder in it; empty: all
	git    gitSource
	accept []string // lower tiers, where something is run
}

// sourceOf reads what an owner wrote, or what a lock says.
func sourceOf(written, sub string, o owner) (s source, err error) {
	s.path = strings.Trim(sub, "/")
	if err := store.CheckSub(s.path); err != nil {
		return s, err
	}
	kind, place, given := strings.Cut(written, ":")
	if !given { // a folder may be called folder
		kind = ""
	}
	switch kind + ":" {
	case gitScheme:
		s.kind, s.place = "git", written
		s.git, err = parseGit(written)
		return s, err
	case "oci:":
		s.kind, s.place = kind, place
		return s, nil
	case "folder:", "archive:", "import:":
		s.kind, s.place = kind, place
	default:
		s.place = written
	}
	if s.place, err = policy.Resolve(s.place, o.cwd, o.home, commandLine); err != nil {
		return s, flagFault("SOURCE", err)
	}
	if s.kind != "" {
		return s, nil
	}
	info, err := os.Stat(s.place)
	if err != nil {
		return s, fault.New(fault.NotFound, "%s: there is no such folder or archive", s.place).
			WithHint("a skill comes from a folder, from an archive (tar, tar.gz, zip), from git+https://HOST/PATH or from oci:NAME:TAG")
	}
	s.kind = map[bool]string{true: "folder", false: "archive"}[info.IsDir()]
	return s, nil
}

func (s source) String() string {
	if s.kind == "git" {
		return s.place
	}
	return s.kind + ":" + s.place
}

// fetch brings a skill in, reads it, and makes the entry that would pin it.
func (s source) fetch(ctx context.Context, app *App, st *store.Staged) (*skill.Skill, lock.Entry, error) {
	e := lock.Entry{Source: s.String(), Path: s.path}
	called := ""
	var err error
	switch s.kind {
	case "folder":
		at := filepath.Join(s.place, filepath.FromSlash(s.path))
		called = filepath.Base(at)
		var folder *skill.Folder
		if folder, err = skill.Beneath(at); err == nil {
			err = st.Copy(folder)
			folder.Close()
		}
	case "import":
		err = importFolder(s.place, st)
	default:
		if s.path != "" {
			called = path.Base(s.path)
		}
		switch s.kind {
		case "git":
			err = s.git.fetch(ctx, app, s.accept, st, s.path)
		case "oci":
			err = fetchArtifact(ctx, app, s.place, st, s.path)
		default:
			err = st.Unpack(s.place, s.path)
		}
	}
	if err != nil {
		return nil, e, err
	}
	found, err := st.Read(called)
	if err != nil {
		return nil, e, err
	}
	if _, err := stagedPart(st); err != nil {
		return nil, e, err
	}
	e.Revision = st.Revision
	e.Name, e.Kind, e.Digest, e.Capabilities = found.Name, found.Kind, found.Digest, found.CapabilitiesDigest
	return found, e, nil
}

// tierFlag is the flag for the lower tiers that git's sandbox may run at.
func tierFlag(cmd *cobra.Command, tiers *[]string) {
	cmd.Flags().StringArrayVar(tiers, "accept", nil, "where git runs, go on at a lower `TIER` where this machine lacks a layer; may be repeated")
	(&input{}).completions(cmd, "accept")
}
