package gateway

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"nacre/egress"
	"nacre/gateway/wire"
)

var kept = []wire.Secret{{Name: "token", Value: []byte("canary-of-a/secret+value"), Slot: "bearer", Hosts: []egress.Place{{Host: "api.example.com"}}}}

// TestScrub: whatever pieces a reply comes in, no form of the secret passes, the
// length stays, and nothing else changes.
func TestScrub(t *testing.T) {
	value := string(kept[0].Value)
	needles := newNeedles(formsOf(kept))
	for _, form := range []string{value, url.QueryEscape(value), hexOf(value), strings.ToUpper(hexOf(value)), quoted(value),
		base64.StdEncoding.EncodeToString([]byte("x:" + value)), base64.RawURLEncoding.EncodeToString([]byte("xy:" + value + "z"))} {
		text := "before " + form + " after, canary-of-a" + strings.Repeat(".", 40)
		for name, wrap := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "with its end": iotest.DataErrReader} {
			got, err := io.ReadAll(newScrubber(io.NopCloser(wrap(strings.NewReader(text))), nil, needles))
			if err != nil || len(got) != len(text) || bytes.Contains(got, []byte(form)) || !bytes.Contains(got, []byte("****************")) ||
				!bytes.HasPrefix(got, []byte("before ")) || !bytes.HasSuffix(got, []byte(" after, canary-of-a"+strings.Repeat(".", 40))) {
				t.Errorf("%s, %s: %q %v", form, name, got, err)
			}
		}
	}
}

func TestScrubTrailers(t *testing.T) {
	r := &http.Response{Header: http.Header{"A": {string(kept[0].Value)}}, Trailer: http.Header{}, Body: io.NopCloser(strings.NewReader("body"))}
	if err := scrub(newNeedles(formsOf(kept)), r); err != nil {
		t.Fatal(err)
	}
	r.Trailer.Set("B", "x"+string(kept[0].Value)) // as it becomes known
	if _, err := io.ReadAll(r.Body); err != nil || strings.Contains(r.Header.Get("A")+r.Trailer.Get("B"), "canary") {
		t.Errorf("%v %v %v", r.Header, r.Trailer, err)
	}
}

// TestInject: a request goes out with ours and with nobody else's.
func TestInject(t *testing.T) {
	for _, slot := range []string{"bearer", "basic", "header:X-Api-Key", "query:key"} {
		r, err := http.NewRequest("GET", "https://user:own@api.example.com/x?KEY=own&b=2;key=own&k%65y=own", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "X-Any-Token"} {
			r.Header.Set(name, "own")
		}
		s := kept[0]
		s.Slot = slot
		if err := inject([]wire.Secret{s}, []wire.Secret{s}, r); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_ = r.Write(&b)
		text := b.String()
		if slot == "query:key" && strings.Contains(text, "own") || slot != "query:key" && strings.Contains(strings.ReplaceAll(text, "=own", ""), "own") {
			t.Errorf("%s: %s", slot, text)
		}
		if !strings.Contains(text, "identity") || slot == "query:key" && !strings.Contains(text, "b=2") {
			t.Errorf("%s: %s", slot, text)
		}
	}
	r, _ := http.NewRequest("GET", "http://api.example.com/", nil)
	if err := inject(kept, kept, r); err == nil {
		t.Error("a secret in the clear")
	}
}

func FuzzScrub(f *testing.F) {
	f.Add([]byte("canary-of-a/secret+value"), uint8(3))
	f.Add([]byte("canary-of-canary-of-a/secret+value"), uint8(1))
	f.Add([]byte("xxY2FuYXJ5LW9mLWEvc2VjcmV0K3ZhbHVl"), uint8(200))
	needles := newNeedles(formsOf(kept))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		var pieces []io.Reader
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(piece%16)+1)
			pieces = append(pieces, bytes.NewReader(rest[:n]))
			rest = rest[n:]
		}
		got, err := io.ReadAll(newScrubber(io.NopCloser(io.MultiReader(pieces...)), nil, needles))
		if err != nil || len(got) != len(b) {
			t.Errorf("%q %v", got, err)
		}
		found := false
		for _, one := range needles.all {
			found = found || bytes.Contains(b, one)
			if bytes.Contains(got, one) {
				t.Errorf("%q is left in %q", one, got)
			}
		}
		if !found && !bytes.Equal(got, b) || found != needles.in(b) {
			t.Errorf("%q became %q", b, got)
		}
	})
}

// TestMarks: whatever is a credential's name has a mark, by the words of the pattern
// itself.
func TestMarks(t *testing.T) {
	words := strings.FieldsFunc(strings.NewReplacer("(?:", "|", "[^", "|", "[", "|").Replace(credential().String()), func(c rune) bool { return strings.ContainsRune("|^$)]", c) })
	found := 0
	for _, word := range words {
		for _, name := range []string{word, "x" + word, word + "x", "authori" + word, "cred" + word, "sess" + word, "auth" + word, "key" + word} {
			if credential().MatchString(name) {
				if found++; !credentialName(name) && !harmless().MatchString(name) {
					t.Errorf("%s is a credential's name and has no mark", name)
				}
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d names are tried", found)
	}
}
