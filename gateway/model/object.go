package model

import "encoding/json"

// Object reads the outermost object of a text, in which no key may be there twice,
// in whatever case.
func Object(b []byte) (map[string]json.RawMessage, error) { return object(b) }
