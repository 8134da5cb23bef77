package stdio

import (
	"fmt"
	"strings"
	"testing"
)

// TestStrangeTokens: a token of progress that is an object or a list is nothing that
// was given to the server: it is passed over, and the gateway lives.
func TestStrangeTokens(t *testing.T) {
	p, q, m := begun(t, call("x", "a", "mine"))
	for _, token := range []string{`{}`, `{"a":1}`, `[]`, `[1]`, `true`, `"1"`, `1.5`} {
		p.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`, token)
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":["done"]}}`, m.ID)
	if said, err := q.Next(t.Context()); err != nil || !said.Reply() {
		t.Errorf("%+v, %v", said, err)
	}
}

// TestLargeNotices: what a server says unasked, or of a request under way, is kept for
// whoever does not read; so it is small, and few keep it.
func TestLargeNotices(t *testing.T) {
	p, q, m := begun(t, call("x", "a", "mine"))
	l := p.Listen()
	large := strings.Repeat("x", maxNotice)
	for _, text := range []string{large, "small"} {
		p.says(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%s"}}`, text)
		p.says(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"message":"%s"}}`, m.ID, text)
	}
	p.says(`{"jsonrpc":"2.0","id":%s,"result":{"content":["%s"]}}`, m.ID, large)
	heard, err := l.Next(t.Context())
	first, err2 := q.Next(t.Context())
	reply, err3 := q.Next(t.Context())
	if text := fmt.Sprint(heard, first); err != nil || err2 != nil || err3 != nil || len(text) > maxNotice || !reply.Reply() || len(fmt.Sprint(reply)) < maxNotice {
		t.Errorf("%.200v, %.200v, %.200v", heard, first, reply)
	}
	for range maxHearers - 1 {
		p.Listen()
	}
	if p.Listen() != nil {
		t.Error("there is no end to listeners")
	}
	l.Leave()
	if p.Listen() == nil {
		t.Error("one that has left is counted")
	}
}
