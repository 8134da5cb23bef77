package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"nacre"
	"nacre/audit"
	"nacre/fault"
	"nacre/load"
	"nacre/policy"
)

// policyEdit adds one line, or some, to a policy.
type policyEdit struct {
	path     string
	owner    owner
	line     string
	manifest string                       // of the one agent that it is for; empty for all
	show     func(old, text []byte) error // asked before anything is changed; may be nil
}

// apply reads, merges, checks, records and replaces, while no other nacre does.
// It tells whether there was anything to add.
func (e policyEdit) apply(ctx context.Context) (changed bool, err error) {
	dir := filepath.Dir(e.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fault.Wrap(fault.Exhausted, err, "cannot make the policy's folder")
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return false, err
	}
	defer unlock()
	// The rights are checked on the way; what could be anybody's is not extended.
	if _, err := load.Policy(e.path, e.owner.uid, nil); err != nil {
		return false, err
	}
	real, err := filepath.EvalSymlinks(e.path)
	if errors.Is(err, os.ErrNotExist) {
		real, err = e.path, nil
	}
	if err != nil {
		return false, fault.Wrap(fault.Invalid, err, "cannot find the policy")
	}
	old, err := os.ReadFile(real)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fault.Wrap(fault.Invalid, err, "cannot read the policy")
	}
	text, changed, err := e.merge(old)
	if err != nil || !changed {
		return false, err
	}
	if e.show != nil {
		if err := e.show(old, text); err != nil {
			return false, err
		}
	}
	if err := e.record(ctx, old, text); err != nil {
		return false, err
	}
	if err := replace(real, text); err != nil {
		return false, err
	}
	_, err = load.Policy(e.path, e.owner.uid, nil) // a new one may lie where others can write
	return true, err
}

// merge makes the new text, and sees that it is a policy that nacre reads.
func (e policyEdit) merge(old []byte) (text []byte, changed bool, err error) {
	if len(bytes.TrimSpace(old)) == 0 {
		old = []byte("version: 1\n")
	}
	// What is to be added must be a policy by itself: then a fault names it, and
	// nothing can hide in it.
	const given = "the line"
	if _, err := policy.Parse(given, []byte(e.line+"\nversion: 1\n")); err != nil {
		return nil, false, err
	}
	var document, added yaml.Node
	if err := yaml.Unmarshal(old, &document); err != nil {
		return nil, false, fault.Wrap(fault.Invalid, err, "%s", e.path)
	}
	if err := yaml.Unmarshal([]byte(e.line), &added); err != nil || len(added.Content) != 1 || added.Content[0].Kind != yaml.MappingNode {
		return nil, false, fault.New(fault.Usage, "expected one line of a policy, found %q", e.line)
	}
	if changed, err = mergeNode(scope(document.Content[0], e.manifest), added.Content[0]); err != nil {
		return nil, false, fault.Wrap(fault.Conflict, err, "%s", e.path)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&document), enc.Close()); err != nil {
		return nil, false, err
	}
	_, err = policy.Parse(e.path, b.Bytes())
	return b.Bytes(), changed, err
}

func (e policyEdit) record(ctx context.Context, old, text []byte) error {
	log, err := audit.Open(e.owner.auditDir(), e.owner.uid)
	if err != nil {
		return err
	}
	defer log.Close()
	return log.Record(ctx, nacre.Event{
		Kind: "policy.allow", Subject: e.manifest, Caller: nacre.Caller{UID: e.owner.uid, PID: os.Getpid(), Name: "cli"},
		Decision: nacre.Allow, Rule: "owner", Reason: "the owner extends the policy",
		Detail: map[string]string{"file": e.path, "line": e.line,
			"before": fmt.Sprintf("sha256:%x", sha256.Sum256(old)), "after": fmt.Sprintf("sha256:%x", sha256.Sum256(text))},
	})
}

// lockFolder keeps two edits from overtaking each other.
func lockFolder(dir string) (func(), error) {
	d, err := os.Open(dir)
	if err == nil {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Conflict, err, "cannot lock the policy's folder")
	}
	return func() { d.Close() }, nil
}

// replace puts a new file in the place of the old one, whole or not at all.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".policy-*.yaml") // 0600
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write the policy")
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fault.Wrap(fault.Exhausted, err, "cannot write the policy")
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		defer d.Close()
		_ = d.Sync() // it is written; only a power cut could still undo it
	}
	return nil
}
