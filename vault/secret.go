// Package vault holds secrets while they are used: values that do not print, and are
// overwritten afterwards. Where they rest is package store's. Only a sandbox's gateway
// ever gets one, and only those that its plan names.
package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Secret is a value that does not print. The zero value holds none.
type Secret struct{ value []byte }

// New takes a value over; the caller's bytes are the secret's from now on.
func New(value []byte) *Secret { return &Secret{value} }

// redacted is how every secret prints.
const redacted = "[redacted]"

// String hides the value.
func (*Secret) String() string { return redacted }

// GoString hides the value.
func (*Secret) GoString() string { return redacted }

// Format hides the value, whatever the verb.
func (*Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText hides the value.
func (*Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal is the value itself, for the one place that needs it. It is the
// secret's own: not to be kept, and gone after Zero.
func (s *Secret) Reveal() []byte {
	if s == nil {
		return nil
	}
	return s.value
}

// Zero overwrites the value. Copies that libraries made stay (docs/THREATS.md).
func (s *Secret) Zero() {
	if s != nil {
		clear(s.value)
		s.value = nil
	}
}

// Fingerprint tells two values apart to somebody who knows neither.
func (s *Secret) Fingerprint(salt []byte) string {
	h := hmac.New(sha256.New, salt)
	h.Write(s.Reveal())
	return hex.EncodeToString(h.Sum(nil)[:6])
}
