package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"nacre/audit"
)

// Record is a record as it was found.
type Record struct {
	audit.Record
	Problem string `json:"-"` // where set, this place was tampered with: trust no other field
}

// Crash reports whether r tells of a torn record before it, which it seals.
func (r Record) Crash() bool { return r.Kind == audit.KindCrash }

// decode reads a line, and gives what its hash covers. Nothing but the exact
// bytes that package audit makes is a record.
func decode(line []byte) (r Record, body []byte, err error) {
	if len(line) > audit.MaxRecord {
		return r, nil, errors.New("not a record: too long")
	}
	body, ok := audit.Split(line)
	if !ok {
		return r, nil, errors.New("changed: its hash is not that of its content")
	}
	err = json.Unmarshal(line, &r.Record)
	bare := r.Record
	bare.Hash = ""
	again, _ := bare.Body() // where it fails, it is not the same either
	hidden := strings.IndexFunc(fmt.Sprint(r.Record), func(c rune) bool { return !audit.Plain(c) })
	if err != nil || r.Version != audit.Version || !bytes.Equal(again, body) || hidden >= 0 {
		return Record{}, body, fmt.Errorf("not a record of version %d as this program writes it", audit.Version)
	}
	return r, body, nil
}
