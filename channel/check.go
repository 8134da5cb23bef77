package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"nacre/pattern"
	"nacre/strictjson"
)

// Side is one of the two who speak. The zero value may say nothing.
type Side int

// The sides.
const (
	Nobody Side = iota
	Adapter
	Host
)

func (s Side) String() string {
	return map[Side]string{Adapter: "adapter", Host: "host"}[s]
}

// form is what a message of one type has: fields by their keys.
type form struct {
	from []Side
	must []string
	may  []string
}

var both = []Side{Adapter, Host}

var forms = map[string]form{
	Hello:    {[]Side{Adapter}, []string{"protocol", "name"}, []string{"release", "features"}},
	Welcome:  {[]Side{Host}, []string{"protocol"}, nil},
	Said:     {[]Side{Adapter}, []string{"id", "conversation", "from", "time"}, []string{"text", "reply", "attachments"}},
	Send:     {[]Side{Host}, []string{"id", "conversation"}, []string{"text", "reply", "attachments"}},
	Ack:      {both, []string{"id"}, []string{"network"}},
	Failed:   {both, []string{"code"}, []string{"id", "ref", "text", "after"}},
	Typing:   {both, []string{"conversation", "active"}, []string{"from"}},
	Fetch:    {both, []string{"ref", "offset"}, nil},
	Chunk:    {both, []string{"ref", "offset"}, []string{"data", "last"}},
	Check:    {[]Side{Host}, nil, nil},
	Health:   {[]Side{Adapter}, []string{"state"}, []string{"text"}},
	Shutdown: {[]Side{Host}, nil, nil},
}

// check refuses a message that its sender may not send, with fields that it does not
// have, or without those that it has.
func check(b []byte, m *Message, from Side) error {
	f, known := forms[m.Type]
	if !known || !slices.Contains(f.from, from) {
		return fmt.Errorf("no message of the type %.40q comes from the %s", m.Type, from)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	for key := range fields {
		if key != "type" && !slices.Contains(f.must, key) && !slices.Contains(f.may, key) {
			return fmt.Errorf("a message of the type %s has no %s", m.Type, key)
		}
	}
	for _, key := range f.must {
		if value, there := fields[key]; !there || string(value) == `""` {
			return fmt.Errorf("a message of the type %s has %s, which is missing", m.Type, key)
		}
	}
	return errors.Join(m.values(), m.whole())
}

var (
	token  = pattern.Of(`^[!-~]+$`) // what is only compared
	digest = pattern.Of(`^sha256:[0-9a-f]{64}$`)
	media  = pattern.Of(`^[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*$`)
)

// values refuses what no field of any message can hold.
func (m *Message) values() error {
	for _, f := range []struct {
		name, value string
		good        bool
	}{
		{"id", m.ID, isToken(m.ID)}, {"conversation", m.Conversation, isToken(m.Conversation)}, {"reply", m.Reply, isToken(m.Reply)},
		{"network", m.Network, isToken(m.Network)}, {"ref", m.Ref, isToken(m.Ref)}, {"release", m.Release, isToken(m.Release)},
		{"name", m.Name, isName(m.Name)}, {"text", m.Text, isText(m.Text)}, {"time", m.Time, isTime(m.Time)},
		{"code", m.Code, slices.Contains(codes, m.Code)}, {"state", m.State, slices.Contains(states, m.State)},
	} {
		if f.value != "" && !f.good {
			return fmt.Errorf("%s cannot be %.80q", f.name, f.value)
		}
	}
	for _, f := range m.Features {
		if !slices.Contains(features, f) {
			return fmt.Errorf("there is no feature %.80q", f)
		}
	}
	if p := m.From; p != nil && (!isToken(p.ID) || p.Name != "" && !isName(p.Name)) {
		return errors.New("from names nobody")
	}
	if m.Offset != nil && (*m.Offset < 0 || *m.Offset > MaxAttachment) || len(m.Data) > MaxChunk || m.After < 0 || len(m.Features) > MaxFeatures {
		return errors.New("a number is out of its bounds")
	}
	return m.attached()
}

func (m *Message) attached() error {
	if len(m.Attachments) > MaxAttachments {
		return fmt.Errorf("a message has at most %d attachments", MaxAttachments)
	}
	seen := map[string]bool{}
	for _, a := range m.Attachments {
		switch {
		case !isToken(a.Ref) || seen[a.Ref] || !digest().MatchString(a.Digest):
			return errors.New("an attachment has a reference of its own, and a digest")
		case a.Name != "" && (!isName(a.Name) || strings.ContainsAny(a.Name, `/\`) || strings.HasPrefix(a.Name, ".")):
			return fmt.Errorf("an attachment cannot be called %.80q", a.Name)
		case a.Media != "" && (len(a.Media) > MaxName || !media().MatchString(a.Media)):
			return fmt.Errorf("an attachment cannot be %.80q", a.Media)
		case a.Size < 0 || a.Size > MaxAttachment:
			return fmt.Errorf("an attachment of %d bytes is over %d", a.Size, MaxAttachment)
		}
		seen[a.Ref] = true
	}
	return nil
}

// whole refuses what makes sense only together with something else.
func (m *Message) whole() error {
	switch {
	case (m.Type == Hello || m.Type == Welcome) && m.Protocol != Version:
		return fmt.Errorf("version %d of the protocol is not known here", m.Protocol)
	case (m.Type == Said || m.Type == Send) && m.Text == "" && len(m.Attachments) == 0:
		return errors.New("the message is empty")
	case m.Type == Chunk && len(m.Data) == 0 && !m.Last:
		return errors.New("the piece is empty, and not the last")
	}
	return nil
}

func isToken(s string) bool { return len(s) <= MaxName && token().MatchString(s) }

// isName tells whether a text can stand in a line that people read.
func isName(s string) bool {
	return len(s) <= MaxName && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	})
}

// isText tells whether a text is one: with lines, but with nothing that steers a terminal.
func isText(s string) bool {
	return len(s) <= MaxText && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t'
	})
}

func isTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil && len(s) <= MaxName
}

// decode reads one line.
func decode(b []byte, from Side) (Message, error) {
	m := Message{}
	if err := strictjson.Decode(b, &m); err != nil {
		return Message{}, err
	}
	if err := check(b, &m, from); err != nil {
		return Message{}, err
	}
	return m, nil
}
