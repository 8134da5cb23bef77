// Package skill reads skills: folders in the open Agent Skills format, with
// Nacre's part beside it. A skill is written by anybody and is not trusted;
// reading one grants nothing, and runs nothing.
//
//	SKILL.md           what it is and how it is used, for an agent to read
//	capabilities.yaml  what it asks for, in the grammar of a manifest; without it: nothing
//	tool.yaml, harness.yaml or channel.yaml   at most one of them, which makes its kind
package skill

import (
	"io/fs"
	"path/filepath"

	"nacre/fault"
	"nacre/fault/advice"
	"nacre/manifest"
	"nacre/preset"
	"nacre/strict"
)

// Kind is what a skill is, by what its folder holds. The zero value is none.
type Kind string

// The kinds of skills.
const (
	Knowledge Kind = "knowledge" // instructions and files that an agent reads
	Tool      Kind = "tool"      // a tool server: tool.yaml
	Harness   Kind = "harness"   // how an agent's program is run: harness.yaml
	Channel   Kind = "channel"   // an adapter to a chat network: channel.yaml
)

// The files that mean something to Nacre.
const (
	Main             = "SKILL.md"
	CapabilitiesFile = "capabilities.yaml"
	// SignatureFile holds a signature; it is no part of what the digest is of.
	SignatureFile = "SKILL.minisig"
)

// kinds are the files that make a kind.
var kinds = map[string]Kind{"tool.yaml": Tool, "harness.yaml": Harness, "channel.yaml": Channel}

// Skill is a folder that was read.
type Skill struct {
	Front
	Kind Kind
	// Body is the rest of SKILL.md: instructions to an agent.
	Body string
	// Capabilities is what it asks for; nil: nothing. The digest is that of the
	// file's bytes.
	Capabilities       *manifest.Manifest
	CapabilitiesDigest string
	// Digest is that of the whole tree: names, contents, which files are
	// executable. Files and folders are listed by name; the total is in bytes.
	Digest  string
	Files   []File
	Folders []string
	Total   int64
	// Definition is the text of the file that makes its kind; knowledge has none.
	Definition []byte
	// Signature is what SKILL.minisig holds; package sign can tell whose it is.
	Signature []byte
}

// Open reads a folder of the host, which must be called as the skill is. It is
// no symbolic link, and none in it is followed.
func Open(folder string) (*Skill, error) {
	root, err := Beneath(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s, err := Read(root)
	if err != nil {
		return nil, err
	}
	return s, s.Called(filepath.Base(folder))
}

// Called refuses a skill whose folder has another name.
func (s *Skill) Called(folder string) error {
	if s.Name == folder {
		return nil
	}
	return fault.New(fault.Invalid, "%s: the skill calls itself %q, its folder is %q", Main, s.Name, folder).
		WithHint("both must be the same: rename one of them")
}

// Read reads a folder. Whoever knows the folder's name asks Called too.
func Read(folder fs.FS) (*Skill, error) {
	s, err := read(folder)
	return s, advice.Or(err, "put right what is named; nacre skill new NAME writes a skill to compare it with")
}

func read(folder fs.FS) (*Skill, error) {
	t, err := readTree(folder)
	if err != nil {
		return nil, err
	}
	s := &Skill{Kind: Knowledge, Digest: t.digest(), Files: t.files, Folders: t.folders, Total: t.total, Signature: t.kept[SignatureFile]}
	text, ok := t.kept[Main]
	if !ok {
		return nil, fault.New(fault.Invalid, "there is no %s", Main).
			WithHint("a skill is a folder with a %s: nacre skill new writes one", Main)
	}
	if s.Front, s.Body, err = parseMain(Main, text); err != nil {
		return nil, err
	}
	for name, kind := range kinds {
		text, there := t.kept[name]
		if !there {
			continue
		}
		if s.Kind != Knowledge {
			return nil, fault.New(fault.Invalid, "the skill is both %s and %s: it holds more than one of tool.yaml, harness.yaml, channel.yaml", s.Kind, kind)
		}
		s.Kind, s.Definition = kind, text
	}
	return s, s.capabilities(t.kept[CapabilitiesFile])
}

// capabilities reads what the skill asks for, nil: nothing.
func (s *Skill) capabilities(text []byte) error {
	said := s.Metadata[capabilitiesKey]
	if text == nil {
		if said != "" {
			return fault.New(fault.Invalid, "%s: metadata names %s, which is not there", Main, CapabilitiesFile)
		}
		return nil
	}
	s.CapabilitiesDigest = digestOf(text)
	if said != "" && said != s.CapabilitiesDigest {
		return fault.New(fault.Tampered, "%s: metadata says that %s is %s, but it is %s", Main, CapabilitiesFile, said, s.CapabilitiesDigest).
			WithHint("whoever changed it did not write down the new digest; if it was you: nacre skill pack does it")
	}
	m, err := manifest.Parse(CapabilitiesFile, text)
	if err == nil {
		err = preset.Manifest(m)
	}
	if err != nil {
		return err
	}
	if m.Name != s.Name {
		return strict.Invalid(m.Origin, "name: the skill is called %q, its capabilities %q", s.Name, m.Name)
	}
	s.Capabilities = m
	return nil
}
