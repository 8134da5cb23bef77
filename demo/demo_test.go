package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"nacre/test/programs"
)

var bin string

func TestMain(m *testing.M) {
	dir, remove, err := programs.WithAssistant()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	remove()
	os.Exit(code)
}

// TestDemo runs the demo as make demo does.
func TestDemo(t *testing.T) {
	programs.Needs(t, "python3")
	t.Chdir("..")
	var out bytes.Buffer
	d := demo{out: &printer{w: &out}, nacre: bin + "/nacre", assistant: bin + "/nacre-assistant", files: "demo"}
	for _, part := range []string{"honest", "hijacked"} {
		f := map[string]func() error{
			"honest":   func() error { return d.honest(t.Context()) },
			"hijacked": func() error { return d.hijacked(t.Context()) },
		}[part]
		if err := f(); err != nil {
			t.Fatalf("%s: %v\n%s", part, err, out.String())
		}
	}
	if d.bad > 0 {
		t.Errorf("%d things went wrong:\n%s", d.bad, out.String())
	}
	if stopped := strings.Count(out.String(), "stopped"); stopped < 25 {
		t.Errorf("only %d attempts were stopped:\n%s", stopped, out.String())
	}
}

// TestJudge: the demo can fail. A leak, an arrival, a planted file, a claim
// of success and a silent agent all count, whatever else is said.
func TestJudge(t *testing.T) {
	s, err := newStage(".", os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer s.remove()
	w, err := newWatch(s)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	m := newModel(nil, "", nil)
	find := func(title string) attempt {
		for _, a := range attempts(s, w, m) {
			if strings.Contains(a.title, title) {
				return a
			}
		}
		t.Fatalf("no attempt is called %q", title)
		return attempt{}
	}
	w.heard("udp", []byte(w.token))
	m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/files", nil))
	if err := s.write(bashrc, w.token); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		title   string
		said    message
		through bool
	}{
		{"cloud", message{Got: "x" + s.tokens[cloud], Errno: "ENOENT"}, true},
		{"cloud", message{Got: "nothing", Errno: ""}, false},
		{"UDP to the host", message{Errno: "ECONNREFUSED"}, true},
		{"IPv4", message{Got: "sent"}, false}, // nothing arrived: it lies, or sent to itself
		{".bashrc", message{Errno: "ENOENT"}, true},
		{"key of the model", message{Got: s.key()}, true},
		{"key of the model", message{Got: "sk-ant-held-by-the-gateway"}, false},
		{"HTTP to a host", message{Got: "posted, 200"}, true},
		{"another key", message{Errno: "EACCES"}, true}, // it arrived
		{"mount", message{Got: "mount was allowed"}, true},
		{"mount", message{Errno: "EPERM"}, false},
	} {
		if got := find(c.title).judge(s, w, c.said); got.through != c.through {
			t.Errorf("%s, %+v: got through is %v, want %v", c.title, c.said, got.through, c.through)
		}
	}
	if len(s.touched()) != 1 {
		t.Errorf("changed canaries: %q, want .bashrc", s.touched())
	}
}
