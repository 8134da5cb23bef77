// Package audit writes the append-only, hash-chained record of what was decided
// and what happened. It implements nacre.Recorder. Reading, verifying, signing,
// rotating and exporting are package auditlog's.
//
// The record is one file of JSON lines, audit.jsonl, in a folder of its owner
// (folder 0700, file 0600). A line is
//
//	{"v":1,"seq":N,"time":"…Z","prev":"…", the fields of nacre.Event ,"hash":"…"}
//
// where hash is the SHA-256 of the line's body, the bytes before `,"hash"`, and
// prev the hash of the record before (64 zeros for the first). There is exactly
// one way to write a record: a line whose decoded content does not encode to the
// same bytes is tampered with, so duplicate, unknown, reordered and case-folded
// keys need no rules of their own. Text is printable as it stands: a backslash is
// doubled, control, invisible and invalid bytes become \x1b or \u{202e}, and
// what is too long ends in \cut{…} with its length and hash.
//
// A writer locks the file, reads its last record, appends in one write and
// syncs before it returns; any number of processes may do so at once. Nothing
// is ever taken away: where a crash left part of a record, the next writer
// closes that line with #torn and adds an audit.crash record with the length
// and the hash of the torn bytes. A write that fails is undone.
//
// What the chain shows: any record changed, missing, added or moved, unless
// all that follows it was written anew. That records are missing from the end,
// or that the end was written anew, shows only beside a signed checkpoint. The
// bodies are the leaves of the Merkle tree which that signs. A rotated file is
// renamed, and another in its place continues sequence and chain. A change of a
// line's fields raises v.
package audit
