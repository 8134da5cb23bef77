package vault_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"nacre/fault"
	"nacre/vault"
)

const canary = "canary-of-a-secret-value"

func TestSecretsDoNotPrint(t *testing.T) {
	s := vault.New([]byte(canary))
	b, err := json.Marshal(map[string]any{"a": s, "b": []*vault.Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(s) + fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + string(b) + fmt.Sprint(fault.New(fault.Internal, "%v", s))
	if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) || strings.Count(text, "[redacted]") < 10 {
		t.Error(text)
	}
	value := s.Reveal()
	s.Zero()
	if bytes.Contains(value, []byte("canary")) || s.Reveal() != nil {
		t.Error("not zeroed")
	}
}
