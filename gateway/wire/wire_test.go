package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"nacre"
)

func pair(t testing.TB) (a, b *Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*Conn
	for i, fd := range fds {
		if ends[i], err = NewConn(os.NewFile(uintptr(fd), "pair")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

func TestMessages(t *testing.T) {
	a, b := pair(t)
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := a.Send(Message{Sockets: true}, f, f); err != nil {
		t.Fatal(err)
	}
	m, files, err := b.Receive()
	if err != nil || !m.Sockets || len(files) != 2 {
		t.Errorf("%+v %d %v", m, len(files), err)
	}
	for _, f := range files {
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("a descriptor that programs would inherit: %v %v", flags, err)
		}
		f.Close()
	}
	if err := a.Send(Message{Record: &Record{ID: 1, Event: nacre.Event{Reason: strings.Repeat("x", maxMessage)}}}); err == nil {
		t.Error("a message over its limit was sent")
	}
	if err := a.Send(Message{}); err == nil {
		t.Error("a message that says nothing was sent")
	}
	for i := range uint64(3) { // each is its own: they are read into the same place
		event := nacre.Event{Kind: "request", Detail: map[string]string{"to": fmt.Sprint(i)}}
		if err := a.Send(Message{Record: &Record{ID: i, Event: event}}); err != nil {
			t.Fatal(err)
		}
	}
	var records []*Record
	for range 3 {
		m, _, err := b.Receive()
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, m.Record)
	}
	for i, r := range records {
		if r == nil || r.ID != uint64(i) || r.Event.Kind != "request" || r.Event.Detail["to"] != fmt.Sprint(i) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	a.Close()
	if _, _, err := b.Receive(); err == nil {
		t.Error("a message from nobody")
	}
}

// TestHostileMessages: what is no message of ours is an error.
func TestHostileMessages(t *testing.T) {
	for _, text := range []string{"", "x", "[]", `{"Ready":1}`, `{"Other":true}`, `{"Record":{"ID":-1}}`, `{"Ready":false}`, `{"ready":true}`, `{"Record":null}`,
		`{"Ready":true,"Stop":true}`, `{"Ready":true} `, `{"Ready":true}{}`, `{"Ready":true}}`, `{"Ready":true`, `{"Record":{"ID":1,"More":2}}`, `{"Ready":}`, `{}`, `}`, strings.Repeat("x", maxMessage+1)} {
		if m, err := parse([]byte(text), 0); err == nil {
			t.Errorf("%.40q: %+v", text, m)
		}
	}
	if _, err := parse([]byte(`{"Ready":true}`), syscall.MSG_CTRUNC); err == nil {
		t.Error("descriptors were cut off")
	}
}

func TestZero(t *testing.T) {
	c := Config{Secrets: []Secret{{Value: []byte("canary")}}, ProxyLogin: []byte("canary")}
	c.Zero()
	if b, _ := json.Marshal(c); strings.Contains(fmt.Sprint(string(c.Secrets[0].Value), string(c.ProxyLogin), string(b)), "canary") {
		t.Error("not zeroed")
	}
}

// FuzzParse: whatever a gateway says, what is taken says one thing, and is written as
// the same message again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Record":{"ID":1,"Event":{"kind":"request"}}}`))
	f.Add([]byte(`{"Hello":{"Root":"eA=="}}`))
	f.Add([]byte(`{"Stop":true}`))
	f.Add([]byte(`{"Reserve":{"ID":1},"Stop":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b, 0)
		if err != nil {
			return
		}
		set := 0
		for i, all := 0, reflect.ValueOf(m); i < all.NumField(); i++ {
			if !all.Field(i).IsZero() {
				set++
			}
		}
		text, err := m.text()
		if err != nil || set != 1 {
			t.Fatalf("%q says %d things: %v", b, set, err)
		}
		again, err := parse(text, 0)
		if err == nil {
			b, err = again.text()
		}
		if err != nil || !bytes.Equal(b, text) {
			t.Fatalf("%q is read as %q: %v", text, b, err)
		}
	})
}

// TestPair: identifier and key have the lengths that AWS gives them.
func TestPair(t *testing.T) {
	id, key := strings.Repeat("A", 20), strings.Repeat("k", 40)
	for value, good := range map[string]bool{
		id + ":" + key: true, id + ":" + key + ":session/+=": true, strings.Repeat("A", 128) + ":" + strings.Repeat("k", 128): true,
		"AKI:" + key: false, strings.Repeat("A", 129) + ":" + key: false, id + ":" + strings.Repeat("k", 15): false,
		id + ":" + strings.Repeat("k", 129): false, id: false, id + ":" + key + ":": false, "x" + id + ":" + key: false, id + ":" + key + "\n": false,
	} {
		pair, err := Secret{Value: []byte(value)}.Pair()
		if (err == nil) != good || good && (!strings.HasPrefix(value, pair.ID+":"+pair.Secret) || pair.Secret == "") {
			t.Errorf("%q: %+v, %v", value, pair, err)
		}
	}
}
