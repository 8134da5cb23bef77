package websocket

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// heard is what a reader makes of what one side says: each message, each control
// frame in its place, and how it ended.
func heard(from io.Reader, masked bool, relay func(Opcode, bool, []byte)) (list []string, err error) {
	r := NewReader(from, masked, func(op Opcode, payload []byte) error {
		list = append(list, fmt.Sprintf("%d %q", op, payload))
		relay(op, true, payload)
		return nil
	})
	for {
		op, err := r.Next()
		if err != nil {
			return list, err
		}
		var whole []byte
		piece := make([]byte, 7)
		for kind := op; err == nil; kind = Continuation {
			var n int
			if n, err = r.Read(piece); err == nil || err == io.EOF {
				whole = append(whole, piece[:n]...)
				relay(kind, err == io.EOF, piece[:n])
			}
		}
		if err != io.EOF {
			return append(list, fmt.Sprintf("%d %q broken off", op, whole)), err
		}
		list = append(list, fmt.Sprintf("%d %q", op, whole))
	}
}

func nowhere(Opcode, bool, []byte) {}

// frame is one as it stands on the wire, masked.
func frame(first byte, payload string) string {
	b := []byte{first, 0x80 | byte(len(payload)), 1, 2, 3, 4}
	text := []byte(payload)
	mask(text, [4]byte{1, 2, 3, 4}, 0)
	return string(b) + string(text)
}

// TestFrames: messages, pieces and control frames between them, however they are
// cut; and everything that the standard forbids.
func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 70000)
	for name, c := range map[string]struct {
		said string
		want []string
		err  error
	}{
		"a message":       {frame(0x81, "hello"), []string{`1 "hello"`}, io.ErrUnexpectedEOF},
		"bytes":           {frame(0x82, "\x00\xff"), []string{`2 "\x00\xff"`}, io.ErrUnexpectedEOF},
		"an empty one":    {frame(0x81, "") + frame(0x81, "b"), []string{`1 ""`, `1 "b"`}, io.ErrUnexpectedEOF},
		"pieces":          {frame(0x01, "a") + frame(0x00, "") + frame(0x00, "b") + frame(0x80, "c"), []string{`1 "abc"`}, io.ErrUnexpectedEOF},
		"a ping between":  {frame(0x01, "a") + frame(0x89, "ping") + frame(0x80, "c"), []string{`9 "ping"`, `1 "ac"`}, io.ErrUnexpectedEOF},
		"pong":            {frame(0x8a, ""), []string{`10 ""`}, io.ErrUnexpectedEOF},
		"close":           {frame(0x88, "\x03\xe8bye") + frame(0x81, "more"), []string{`8 "\x03\xe8bye"`}, io.EOF},
		"close, unsaid":   {frame(0x88, ""), []string{`8 ""`}, io.EOF},
		"close within":    {frame(0x01, "a") + frame(0x88, ""), []string{`8 ""`, `1 "a" broken off`}, io.ErrUnexpectedEOF},
		"broken off":      {frame(0x01, "abc"), []string{`1 "abc" broken off`}, io.ErrUnexpectedEOF},
		"half a frame":    {frame(0x81, "hello")[:8], []string{`1 "he" broken off`}, io.ErrUnexpectedEOF},
		"half a head":     {"\x81", nil, io.ErrUnexpectedEOF},
		"16 bits":         {"\x82\xfe\x00\x7e\x00\x00\x00\x00" + long[:126], []string{fmt.Sprintf("2 %q", long[:126])}, io.ErrUnexpectedEOF},
		"64 bits":         {"\x82\xff\x00\x00\x00\x00\x00\x01\x11\x70\x00\x00\x00\x00" + long, []string{fmt.Sprintf("2 %q", long)}, io.ErrUnexpectedEOF},
		"endless":         {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00x", []string{`2 "x" broken off`}, io.ErrUnexpectedEOF},
		"RSV1":            {frame(0xc1, "x"), nil, errReserved},
		"RSV2":            {frame(0xa1, "x"), nil, errReserved},
		"RSV3 of a ping":  {frame(0x99, "x"), nil, errReserved},
		"opcode 3":        {frame(0x83, "x"), nil, errOpcode},
		"opcode 7":        {frame(0x87, "x"), nil, errOpcode},
		"opcode 11":       {frame(0x8b, "x"), nil, errOpcode},
		"opcode 15":       {frame(0x8f, "x"), nil, errOpcode},
		"ping in pieces":  {frame(0x09, "x"), nil, errControl},
		"ping of 126":     {"\x89\xfe\x00\x7e\x00\x00\x00\x00" + long[:126], nil, errControl},
		"ping of 2^32":    {"\x89\xff\x00\x00\x00\x01\x00\x00\x00\x00", nil, errControl},
		"16 bits for 125": {"\x82\xfe\x00\x7d\x00\x00\x00\x00", nil, errLength},
		"64 bits for 16":  {"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00", nil, errLength},
		"negative length": {"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", nil, errLength},
		"unmasked":        {"\x81\x05hello", nil, errMask},
		"going on":        {frame(0x80, "x"), nil, errOrder},
		"beginning twice": {frame(0x01, "a") + frame(0x81, "b"), []string{`1 "a" broken off`}, errOrder},
		"close of 1":      {frame(0x88, "x"), nil, errClose},
		"close 1005":      {frame(0x88, "\x03\xed"), nil, errClose},
		"close 2999":      {frame(0x88, "\x0b\xb7"), nil, errClose},
		"close, no UTF-8": {frame(0x88, "\x03\xe8\xff"), nil, errClose},
		"HTTP":            {"GET / HTTP/1.1\r\n\r\n", nil, errReserved},
	} {
		for cut, from := range map[string]io.Reader{"whole": strings.NewReader(c.said), "bytes": iotest.OneByteReader(strings.NewReader(c.said))} {
			got, err := heard(from, true, nowhere)
			if fmt.Sprint(got) != fmt.Sprint(c.want) || err != c.err {
				t.Errorf("%s, %s: %.200v %v", name, cut, got, err)
			}
		}
	}
	if got, err := heard(strings.NewReader("\x81\x02hi"), false, nowhere); len(got) != 1 || err != io.ErrUnexpectedEOF {
		t.Errorf("a server's: %v %v", got, err)
	}
	if _, err := heard(strings.NewReader(frame(0x81, "hi")), false, nowhere); err != errMask {
		t.Errorf("a server that masks: %v", err)
	}
}

// TestWriter: lengths in their shortest forms, a key that no program chooses, and
// nothing after the end.
func TestWriter(t *testing.T) {
	for n, head := range map[int]string{0: "\x82\x00", 125: "\x82\x7d", 126: "\x82\x7e\x00\x7e", 65535: "\x82\x7e\xff\xff", 65536: "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"} {
		var b bytes.Buffer
		if err := NewWriter(&b, false).Frame(Binary, true, make([]byte, n)); err != nil || b.String() != head+strings.Repeat("\x00", n) {
			t.Errorf("%d: %.20q %v", n, b.String(), err)
		}
	}
	var b bytes.Buffer
	w := NewWriter(&b, true)
	seen := map[string]bool{}
	for range 3 {
		b.Reset()
		if err := w.Frame(Text, true, []byte("GET / HTTP/1.1")); err != nil || strings.Contains(b.String(), "HTTP") {
			t.Errorf("%q %v", b.String(), err)
		}
		seen[b.String()[2:6]] = true
	}
	if len(seen) != 3 {
		t.Error("a key is used twice")
	}
	if err := w.Close(Policy, strings.Repeat("x", 500)); err != nil {
		t.Error(err)
	}
	if err := w.Frame(Text, true, nil); err == nil {
		t.Error("it goes on after the end")
	}
}

// TestHandshake: asked for in one way, and agreed to in one way.
func TestHandshake(t *testing.T) {
	asks := func(change func(*http.Request)) *http.Request {
		r := &http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {"chat, superchat", "more"}}}
		if change != nil {
			change(r)
		}
		return r
	}
	if err := Asked(asks(nil)); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*http.Request){
		"POST":        func(r *http.Request) { r.Method = "POST" },
		"HTTP/1.0":    func(r *http.Request) { r.ProtoMinor = 0 },
		"HTTP/2":      func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 },
		"a body":      func(r *http.Request) { r.ContentLength = 5 },
		"chunks":      func(r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} },
		"two":         func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket", "websocket"} },
		"a list":      func(r *http.Request) { r.Header.Set("Upgrade", "websocket, h2c") },
		"not said":    func(r *http.Request) { r.Header.Set("Connection", "keep-alive") },
		"other blank": func(r *http.Request) { r.Header.Set("Connection", "keep-alive,\u00a0Upgrade") },
		"version 777": func(r *http.Request) { r.Header.Set("Sec-Websocket-Version", "777") },
		"no version":  func(r *http.Request) { r.Header.Del("Sec-Websocket-Version") },
		"no key":      func(r *http.Request) { r.Header.Del("Sec-Websocket-Key") },
		"short key":   func(r *http.Request) { r.Header.Set("Sec-Websocket-Key", "AAAA") },
		"two keys":    func(r *http.Request) { r.Header.Add("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") },
	} {
		if Asked(asks(change)) == nil {
			t.Errorf("%s is taken", name)
		}
	}
	agrees := func(change func(http.Header)) http.Header {
		h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}}
		if change != nil {
			change(h)
		}
		return h
	}
	for _, change := range []func(http.Header){nil, func(h http.Header) { h.Set("Sec-Websocket-Protocol", "more") }} {
		if err := Agreed(asks(nil).Header, agrees(change)); err != nil {
			t.Error(err)
		}
	}
	for name, change := range map[string]func(http.Header){
		"another":       func(h http.Header) { h.Set("Upgrade", "h2c") },
		"not said":      func(h http.Header) { h.Del("Connection") },
		"another key":   func(h http.Header) { h.Set("Sec-Websocket-Accept", "AAAA") },
		"no key":        func(h http.Header) { h.Del("Sec-Websocket-Accept") },
		"an extension":  func(h http.Header) { h.Set("Sec-Websocket-Extensions", "permessage-deflate") },
		"a subprotocol": func(h http.Header) { h.Set("Sec-Websocket-Protocol", "evil") },
	} {
		if Agreed(asks(nil).Header, agrees(change)) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// FuzzFrames: whatever a side says, what is written of it says the same, and has no
// fault.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{frame(0x81, "hello"), frame(0x01, "a") + frame(0x89, "ping") + frame(0x80, "c"), frame(0x88, "\x03\xe8bye"), frame(0xc1, "x"), "\x82\xfe\x00\x7d\x00\x00\x00\x00",
		"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", "\x81\x05hello", frame(0x01, "a") + frame(0x81, "b")} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, masked bool) {
		var written bytes.Buffer
		w := NewWriter(&written, !masked)
		ended := false
		said, err := heard(bytes.NewReader(b), masked, func(op Opcode, final bool, payload []byte) {
			if failed := w.Frame(op, final, payload); (failed != nil) != ended {
				t.Errorf("%d after the end: %v", op, failed)
			}
			ended = ended || op == Close
		})
		if err != nil && !ended {
			said = slices.DeleteFunc(said, func(s string) bool { return strings.HasSuffix(s, ` "" broken off`) }) // nothing of it was there
		}
		again, failed := heard(&written, !masked, nowhere)
		if wrong := Violation(""); errors.As(failed, &wrong) || !slices.Equal(said, again) {
			t.Errorf("%q %v became %q %v", said, err, again, failed)
		}
	})
}

// FuzzHandshake: what passes for the beginning of a WebSocket does so for a reader that
// knows one spelling of it, on both sides; and what a server answers fits what was asked.
func FuzzHandshake(f *testing.F) {
	const ask = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
	const answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
	f.Add([]byte(ask), []byte(answer))
	f.Add([]byte(strings.Replace(ask, "Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: h2c", 1)), []byte(answer))
	f.Add([]byte(ask), []byte(strings.Replace(answer, "Protocol: chat", "Protocol: chat, more", 1)))
	f.Add([]byte(strings.Replace(ask, ", Upgrade", ",\u00a0Upgrade", 1)), []byte(strings.Replace(answer, "\r\n\r\n", "\r\nSec-WebSocket-Extensions:\r\n\r\n", 1)))
	token := regexp.MustCompile(`(?i)(^|,)[ \t]*upgrade[ \t]*(,|$)`)
	plain := func(h http.Header) bool {
		return len(h["Upgrade"]) == 1 && strings.ToLower(h["Upgrade"][0]) == "websocket" && token.MatchString(strings.Join(h["Connection"], ","))
	}
	f.Fuzz(func(t *testing.T, asked, answered []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(asked)))
		if err != nil || Asked(r) != nil {
			return
		}
		key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
		if r.Method != "GET" || r.Proto != "HTTP/1.1" || !plain(r.Header) || r.Header.Get("Sec-Websocket-Version") != "13" || err != nil || len(key) != 16 {
			t.Fatalf("%q is taken", asked)
		}
		a, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answered)), r)
		if err != nil || Agreed(r.Header, a.Header) != nil {
			return
		}
		if chosen := a.Header["Sec-Websocket-Protocol"]; !plain(a.Header) || len(chosen) > 1 || len(chosen) == 1 && !strings.Contains(strings.Join(r.Header["Sec-Websocket-Protocol"], ","), chosen[0]) ||
			strings.Join(a.Header["Sec-Websocket-Extensions"], "") != "" {
			t.Fatalf("%q agrees to %q", answered, asked)
		}
	})
}
