package blueprint

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzMessage: a hostile init sends whatever it likes. What is taken for a
// message says the same when it is written again.
func FuzzMessage(f *testing.F) {
	for _, text := range []string{`{"Kind":"ended","Job":-1,"Number":137}`, `{"Kind":"confined","Facts":{"reading":"refused"}}`,
		`{"Kind":"run","Kind":"build"}`, `{"kind":"x"} {"Kind":"y"}`, "null", "[]", "", `{"Job":1e400}`, `{"Kind":"run","Command":["\"a\\xff\"","\"","x"],"Env":["A=\"b"]}`, `{"Filter":"AAAA","Unknown":1}`} {
		f.Add([]byte(text), 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, flags int) {
		m, err := parse(b, flags)
		if err != nil {
			return
		}
		if len(b) == 0 || len(b) > MaxMessage || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			t.Fatalf("%d bytes, flags %#x were taken", len(b), flags)
		}
		again, err := json.Marshal(m.carried(Pack))
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > MaxMessage {
			return // escaped it is longer
		}
		back, err := parse(again, 0)
		if err != nil || !reflect.DeepEqual(normal(m), normal(back)) {
			t.Errorf("%q: %+v, then %+v, %v", b, m, back, err)
		}
	})
}

// normal makes what is empty and what is missing the same.
func normal(m Message) string {
	b, _ := json.Marshal(m.carried(Pack))
	return string(b)
}

// FuzzSpec: the blueprint is the supervisor's own, and yet only one of this version is
// built. The names in it are strangers': they arrive as they are, whatever their bytes.
func FuzzSpec(f *testing.F) {
	good, err := Spec{Hostname: "box", UID: 1000, Entries: []Entry{{Form: Tree, Host: "/usr", Path: "/usr", Dir: true}}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "work/.env")
	f.Add([]byte(`{"Version":1}`), "\xff/\"\u2028\ufffd\n\\x00")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		s, err := Decode(b)
		if err == nil && s.Version != Version {
			t.Errorf("version %d was taken", s.Version)
		}
		if strings.Contains(name, "\x00") {
			return // no name has one
		}
		want := []Entry{{Form: Mask, Path: "/" + name}, {Form: Tree, Path: name, Host: "/home/" + name}}
		if b, err = (Spec{Entries: want}).Encode(); err != nil {
			t.Fatal(err)
		}
		if s, err = Decode(b); err != nil || !reflect.DeepEqual(s.Entries, want) {
			t.Errorf("%+v became %+v: %v", want, s.Entries, err)
		}
	})
}
