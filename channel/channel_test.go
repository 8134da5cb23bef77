package channel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

var sum = "sha256:" + strings.Repeat("0", 64)

// TestMessages: each type with what it has, from whom it comes, and nothing else.
func TestMessages(t *testing.T) {
	for line, want := range map[string]string{ // from whom it is taken; empty: from nobody
		`{"type":"hello","protocol":1,"name":"echo","features":["typing"]}`:                                                                          "adapter",
		`{"type":"welcome","protocol":1}`:                                                                                                            "host",
		`{"type":"message","id":"1","conversation":"c","from":{"id":"u"},"time":"2026-01-01T00:00:00Z","text":"hi\n"}`:                               "adapter",
		`{"type":"send","id":"1","conversation":"c","text":"hi"}`:                                                                                    "host",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":3,"name":"x.png","media":"image/png","digest":"` + sum + `"}]}`: "host",
		`{"type":"ack","id":"1","network":"99"}`:                                                                                                     "both",
		`{"type":"error","id":"1","code":"unknown","text":"who?"}`:                                                                                   "both",
		`{"type":"typing","conversation":"c","active":false}`:                                                                                        "both",
		`{"type":"fetch","ref":"a","offset":0}`:                                                                                                      "both",
		`{"type":"chunk","ref":"a","offset":0,"data":"aGk="}`:                                                                                        "both",
		`{"type":"chunk","ref":"a","offset":2,"last":true}`:                                                                                          "both",
		`{"type":"check"}`:               "host",
		`{"type":"health","state":"ok"}`: "adapter",
		`{"type":"shutdown"}`:            "host",

		`{"type":"hello","protocol":2,"name":"echo"}`: "", `{"type":"hello","protocol":1}`: "", `{"type":"hello","protocol":1,"name":""}`: "",
		`{"type":"hello","protocol":1,"name":"e","features":["root"]}`: "", `{"type":"hello","protocol":1,"name":"e","text":"x"}`: "",
		`{"type":"exec","text":"id"}`: "", `{"type":""}`: "", `{}`: "", `[]`: "", ``: "", `{"type":"check"} {"type":"check"}`: "", `{"type":"Check"}`: "",
		`{"type":"check","type":"check"}`: "", `{"Type":"check"}`: "", `{"type":"check","more":1}`: "",
		`{"type":"send","id":"1","conversation":"c"}`: "", `{"type":"send","id":"","conversation":"c","text":"x"}`: "", `{"type":"send","id":1,"conversation":"c","text":"x"}`: "",
		`{"type":"send","id":"a b","conversation":"c","text":"x"}`: "", `{"type":"send","id":"1","conversation":"c","text":"\u001b[2J"}`: "", `{"type":"send","id":"1","conversation":"c","text":"a\rb"}`: "",
		`{"type":"send","id":"1","conversation":"c","text":"` + strings.Repeat("x", MaxText+1) + `"}`: "", `{"type":"send","id":"` + strings.Repeat("1", MaxName+1) + `","conversation":"c","text":"x"}`: "",
		`{"type":"message","id":"1","conversation":"c","from":{"id":"u"},"time":"today","text":"hi"}`: "", `{"type":"message","id":"1","conversation":"c","time":"2026-01-01T00:00:00Z","text":"hi"}`: "",
		`{"type":"message","id":"1","conversation":"c","from":{"name":"u"},"time":"2026-01-01T00:00:00Z","text":"hi"}`:                                                                  "",
		`{"type":"message","id":"1","conversation":"c","from":{"id":"u","name":"a\u202eb"},"time":"2026-01-01T00:00:00Z","text":"hi"}`:                                                  "",
		`{"type":"message","id":"1","conversation":"c","from":{"id":"u","admin":true},"time":"2026-01-01T00:00:00Z","text":"hi"}`:                                                       "",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":3,"name":"../x","digest":"` + sum + `"}]}`:                                                         "",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":3,"name":".x","digest":"` + sum + `"}]}`:                                                           "",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":-1,"digest":"` + sum + `"}]}`:                                                                      "",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":99999999999,"digest":"` + sum + `"}]}`:                                                             "",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":3}]}`:                                                                                              "",
		`{"type":"send","id":"1","conversation":"c","attachments":[{"ref":"a","size":3,"digest":"` + sum + `"},{"ref":"a","size":3,"digest":"` + sum + `"}]}`:                           "",
		`{"type":"send","id":"1","conversation":"c","attachments":[` + strings.Repeat(`{"ref":"a","size":3,"digest":"`+sum+`"},`, 16) + `{"ref":"b","size":3,"digest":"` + sum + `"}]}`: "",
		`{"type":"ack"}`: "", `{"type":"error","id":"1"}`: "", `{"type":"error","code":"because"}`: "", `{"type":"error","code":"limited","after":-1}`: "",
		`{"type":"fetch","ref":"a"}`: "", `{"type":"fetch","ref":"a","offset":-1}`: "", `{"type":"chunk","ref":"a","offset":0}`: "", `{"type":"chunk","ref":"a","offset":0,"data":"%"}`: "",
		`{"type":"health","state":"fine"}`: "", `{"type":"typing","conversation":"c"}`: "", `{"type":"typing","conversation":"c","active":null}`: "",
		`{"type":"shutdown","after":1}`: "", "{\"type\":\"health\",\"state\":\"ok\",\"text\":\"\xff\"}": "",
	} {
		for _, side := range both {
			_, err := NewReader(strings.NewReader(line+"\n"), side).Next()
			if taken := err == nil; taken != (want == "both" || want == side.String()) {
				t.Errorf("%.200s from the %s: %v", line, side, err)
			}
			if err != nil && !errors.Is(err, ErrProtocol) && !errors.Is(err, io.EOF) {
				t.Errorf("%.200s: %v", line, err)
			}
		}
		if _, err := NewReader(strings.NewReader(line+"\n"), Nobody).Next(); err == nil {
			t.Errorf("%.200s from nobody", line)
		}
	}
}

// TestStream: messages in a row; one that is too long is an error, and what has no end
// is none.
func TestStream(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Host)
	for _, m := range []Message{{Type: Check}, {Type: Send, ID: "1", Conversation: "c", Text: "a\nb <&>"}, {Type: Shutdown}} {
		if err := w.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []Message{{}, {Type: Hello, Protocol: 1, Name: "x"}, {Type: Send, ID: "1", Conversation: "c"}, {Type: Check, Text: "x"},
		{Type: Chunk, Ref: "a", Offset: new(int64), Data: make([]byte, MaxChunk+1)}} {
		if err := w.Write(m); err == nil {
			t.Errorf("%+v was written", m)
		}
	}
	b.WriteString(`{"type":"check","x":"` + strings.Repeat("x", MaxLine) + "\"}\n" + `{"type":"check"}` + "\n" + `{"type":"check"}`)
	r := NewReader(&b, Host)
	for _, want := range []string{Check, Send, Shutdown, "", Check} {
		m, err := r.Next()
		if m.Type != want || (err != nil) != (want == "") {
			t.Errorf("%+v, %v; want %s", m, err, want)
		}
		if m.Type == Send && m.Text != "a\nb <&>" {
			t.Errorf("%+v", m)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	if p, err := Parse([]byte("version: 1\nprotocol: 1\ncommand: [./echo]\n")); err != nil || p.Command[0] != "./echo" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, text := range []string{"", "version: 1\nprotocol: 1\n", "version: 1\nprotocol: 2\ncommand: [x]\n", "version: 1\nprotocol: 1\ncommand: []\n", "version: 1\nprotocol: 1\ncommand: [x]\nnetwork: [x]\n"} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// FuzzMessage: what is taken from one side is written by it as the same message.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{`{"type":"hello","protocol":1,"name":"echo"}`, `{"type":"send","id":"1","conversation":"c","text":"hi","attachments":[{"ref":"a","size":3,"digest":"` + sum + `"}]}`,
		`{"type":"chunk","ref":"a","offset":0,"data":"aGk="}`, `{"type":"typing","conversation":"c","active":false}`} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, host bool) {
		side := map[bool]Side{true: Host, false: Adapter}[host]
		m, err := NewReader(bytes.NewReader(append(b, '\n')), side).Next()
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := NewWriter(&first, side).Write(m); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		again, err := NewReader(bytes.NewReader(first.Bytes()), side).Next()
		if err == nil {
			err = NewWriter(&second, side).Write(again)
		}
		if err != nil || first.String() != second.String() || strings.Count(first.String(), "\n") != 1 {
			t.Fatalf("%q became %q, then %q: %v", b, first.String(), second.String(), err)
		}
	})
}
