package wire

import (
	"bytes"
	"encoding/json"
	"errors"

	"nacre/pattern"
)

// Client is what the vault keeps for slot oauth, as one line of JSON: who asks for
// tokens, and with a refresh token for whom.
type Client struct {
	ID      string `json:"client_id"`
	Secret  string `json:"client_secret,omitempty"`
	Refresh string `json:"refresh_token,omitempty"`
	Auth    string `json:"auth,omitempty"` // basic (default): in a header; post: in the body
}

// Client reads the value of a secret for slot oauth.
func (s Secret) Client() (c Client, err error) {
	d := json.NewDecoder(bytes.NewReader(s.Value))
	d.DisallowUnknownFields()
	if d.Decode(&c) != nil || d.More() || c.ID == "" || c.Secret == "" && c.Refresh == "" || c.Auth != "" && c.Auth != "basic" && c.Auth != "post" {
		return c, errors.New(`it is not {"client_id": …, "client_secret": …} in one line, with refresh_token and auth ("basic" or "post") where they are needed`)
	}
	return c, nil
}

// Pair is what the vault keeps for slot sigv4: ID:SECRET, or ID:SECRET:SESSION.
type Pair struct{ ID, Secret, Session string }

var keys = pattern.Of(`^([A-Z0-9]+):([A-Za-z0-9/+=]+)(?::([A-Za-z0-9/+=]+))?$`)

// Pair reads the value of a secret for slot sigv4.
func (s Secret) Pair() (Pair, error) {
	m := keys().FindSubmatch(s.Value)
	if m == nil || len(m[1]) < 4 || len(m[1]) > 128 || len(m[2]) < 16 || len(m[2]) > 128 {
		return Pair{}, errors.New("it is not ACCESS-KEY-ID:SECRET-ACCESS-KEY, with :SESSION-TOKEN where there is one")
	}
	return Pair{string(m[1]), string(m[2]), string(m[3])}, nil
}
