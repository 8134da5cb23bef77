package auditlog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"nacre/fault"
)

// Checkpoint says what the first N records were, in the form that transparency
// logs share: a signed note of three lines, the log's name, N, and the root.
type Checkpoint struct {
	Origin string
	Tree   tlog.Tree
}

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Tree.N, c.Tree.Hash)
}

var errCheckpoint = errors.New("expected three lines: the log's name, a number of records, and a hash in base64")

// parseCheckpoint reads the text of a note. There is one way to write it.
func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" {
		return c, errCheckpoint
	}
	c.Origin = lines[0]
	n, err := strconv.ParseInt(lines[1], 10, 64)
	hash, err2 := tlog.ParseHash(lines[2])
	c.Tree = tlog.Tree{N: n, Hash: hash}
	if err != nil || err2 != nil || n < 0 || c.text() != text {
		return Checkpoint{}, errCheckpoint
	}
	return c, nil
}

// sign makes the signed note of a tree.
func sign(t *Tree, signer note.Signer) ([]byte, error) {
	c := Checkpoint{Origin: signer.Name(), Tree: tlog.Tree{N: t.n, Hash: t.root()}}
	return note.Sign(&note.Note{Text: c.text()}, signer)
}

// maxNote is far more than a checkpoint of ours takes, cosignatures included.
const maxNote = 64 << 10

// OpenCheckpoint reads a checkpoint that one of the keys signed.
func OpenCheckpoint(message []byte, keys ...note.Verifier) (Checkpoint, error) {
	if len(message) > maxNote {
		return Checkpoint{}, fault.New(fault.Invalid, "this is no checkpoint: it is too long")
	}
	n, err := note.Open(message, note.VerifierList(keys...))
	if unsigned, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return Checkpoint{}, fault.New(fault.Tampered, "the checkpoint is signed by %s, not by the key that it is held against", signers(unsigned.Note)).
			WithHint("give the verifier key of the log that it was made of (nacre audit key prints it there)")
	}
	if _, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return Checkpoint{}, fault.New(fault.Tampered, "the checkpoint is not as it was signed")
	}
	if err != nil {
		return Checkpoint{}, fault.Wrap(fault.Invalid, err, "this is no checkpoint").WithHint("nacre audit checkpoint makes them")
	}
	c, err := parseCheckpoint(n.Text)
	if err == nil && n.Sigs[0].Name != c.Origin {
		err = fmt.Errorf("%s signed for a log named %s", n.Sigs[0].Name, c.Origin)
	}
	if err != nil {
		return Checkpoint{}, fault.Wrap(fault.Invalid, err, "this is no checkpoint of an audit")
	}
	return c, nil
}

func signers(n *note.Note) string {
	var names []string
	for _, s := range n.UnverifiedSigs {
		names = append(names, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
	}
	return strings.Join(names, ", ")
}

// claim reads a checkpoint that stands in the record itself, whoever signed it;
// only a signature that one of the keys should have made, and did not, is wrong.
func claim(message string, keys ...note.Verifier) (Checkpoint, error) {
	n, err := note.Open([]byte(message), note.VerifierList(keys...))
	if unsigned, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		n, err = unsigned.Note, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return parseCheckpoint(n.Text)
}
