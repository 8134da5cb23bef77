// Package mountlist reads the mount allow-list that NanoClaw keeps
// (mount-allowlist.json) and says it as a policy: with the same meaning, or a
// stricter one. Whatever is not the same is a note. It does no input or output
// but for what it is given.
package mountlist

import (
	"bytes"
	"encoding/json"
	"strings"

	"nacre"
	"nacre/strict"
)

// List is a mount-allowlist.json. Its owner reads no list that lacks a key.
type List struct {
	Roots           []Root        `yaml:"allowedRoots,required" about:"folders that may be mounted"`
	Patterns        []strict.Text `yaml:"blockedPatterns,required" about:"texts that no mounted path may contain"`
	NonMainReadOnly bool          `yaml:"nonMainReadOnly,required" about:"only the main group may write"`
	Origin          nacre.Origin
}

// Root is a folder that may be mounted.
type Root struct {
	Path        string `yaml:"path,required" about:"absolute, or below ~/"`
	Write       bool   `yaml:"allowReadWrite" about:"may it be written to"`
	Description string `yaml:"description" about:"why"`
	Origin      nacre.Origin
}

// breaks end a line in YAML but not in JSON.
const breaks = "\u0085\u2028\u2029"

// Parse reads a list: JSON, in which no key is unknown, repeated or in other
// letters. The file's name is only for messages and origins.
func Parse(file string, data []byte) (*List, error) {
	start := nacre.Origin{File: file, Line: 1, Column: 1}
	if len(data) > strict.MaxBytes {
		return nil, strict.Invalid(start, "the file is larger than 1 MiB")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, strict.Invalid(start, "not valid JSON: %v", err).WithHint("expected a mount allow-list, an object with allowedRoots; nacre policy import --help has examples")
	}
	if i := bytes.IndexAny(data, breaks); i >= 0 {
		at := nacre.Origin{File: file, Line: 1 + bytes.Count(data[:i], []byte("\n")), Column: i - bytes.LastIndexByte(data[:i], '\n')}
		return nil, strict.Invalid(at, "expected plain text, found a line or paragraph separator")
	}
	// JSON is YAML but for tabs, which JSON allows between values only.
	return strict.Decode(file, bytes.ReplaceAll(data, []byte("\t"), []byte(" ")), &List{})
}

// always are the texts that NanoClaw refuses in a path whatever the list says.
const always = ".ssh .gnupg .gpg .aws .azure .gcloud .kube .docker credentials .env .netrc .npmrc .pypirc id_rsa id_ed25519 private_key .secret"

// Always lists the texts that NanoClaw refuses in every mounted path.
func Always() []string { return strings.Fields(always) }
