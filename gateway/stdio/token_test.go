package stdio

import "testing"

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
