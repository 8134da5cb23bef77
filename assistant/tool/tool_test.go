package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"nacre/assistant"
)

// use runs one of some tools.
func use(t *testing.T, tools []assistant.Tool, name, args string) (string, error) {
	t.Helper()
	for _, one := range tools {
		if d := one.Declare(); d.Name == name {
			if !json.Valid(d.Schema) {
				t.Fatalf("the schema of %s: %s", name, d.Schema)
			}
			return one.Run(t.Context(), json.RawMessage(args))
		}
	}
	t.Fatalf("there is no %s", name)
	return "", nil
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestShell: output of both streams, how it ended, what is cut out of much.
func TestShell(t *testing.T) {
	tools := []assistant.Tool{Shell(t.TempDir())}
	for command, want := range map[string]struct{ out, err string }{
		"echo a; echo b >&2":    {"a\nb\n", ""},
		"echo a; exit 3":        {"a\n", "exit status 3"},
		"kill -9 $$":            {"", "signal: killed"},
		"yes | head -c 1000000": {"bytes are left out", ""},
		`printf '\377\376'`:     {"�", ""},
		"cat":                   {"", ""}, // there is nobody to type
		"head -c 100000000 /dev/zero | tail -c 1 | od -c": {`\0`, ""},
	} {
		b, _ := json.Marshal(map[string]string{"command": command})
		out, err := use(t, tools, "bash", string(b))
		if !strings.Contains(out, want.out) || (err == nil) != (want.err == "") || err != nil && err.Error() != want.err || len(out) > most+100 {
			t.Errorf("%s: %.200q (%d) %v", command, out, len(out), err)
		}
	}
}

// TestShellLeaves: a child that keeps the output open is not waited for.
func TestShellLeaves(t *testing.T) {
	out, err := shell(t.Context(), t.TempDir(), "sleep 600 & echo $!", time.Hour)
	var pid int
	if _, scanned := fmt.Sscan(out, &pid); err != nil || scanned != nil {
		t.Fatalf("%q %v", out, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("its child is gone: %v", err)
	}
}

// TestShellEnds: a command that takes too long, or that nobody wants any more, is
// ended with all that it started.
func TestShellEnds(t *testing.T) {
	if out, err := shell(t.Context(), t.TempDir(), "sleep 600", time.Millisecond); err == nil || !strings.Contains(err.Error(), "ended after") {
		t.Errorf("%q %v", out, err)
	}
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := shell(ctx, folder, "sh -c 'echo $$ >new; mv new pid; exec sleep 600' & wait", time.Hour)
		ended <- err
	}()
	var pid int
	for pid == 0 {
		b, _ := os.ReadFile(folder + "/pid") // not there yet
		_, _ = fmt.Sscan(string(b), &pid)
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	for running(pid) { // it was killed before shell returned, and dies at its own pace
		time.Sleep(time.Millisecond)
	}
	if _, err := shell(ctx, folder, "echo x", time.Hour); err == nil {
		t.Error("ran although nobody wanted it any more")
	}
}

// running tells whether there is a process, and it is not dead.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// TestFiles: reading, writing, editing; paths; what is no file, no text, too much.
func TestFiles(t *testing.T) {
	folder, home := t.TempDir(), t.TempDir()
	put(t, folder+"/a.txt", "one\ntwo\ntwo\n")
	put(t, folder+"/binary", "a\x00b")
	put(t, folder+"/wide", strings.Repeat("w", 100_000)+"\nend\n")
	put(t, folder+"/long", strings.Repeat("line\n", 5000))
	put(t, home+"/h.txt", "at home")
	if err := syscall.Mkfifo(folder+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	tools := Files(folder, home)
	for _, c := range []struct{ tool, args, out, err string }{
		{"read", `{"path":"a.txt"}`, "     1\tone\n     2\ttwo\n     3\ttwo\n", ""},
		{"read", `{"path":"a.txt","line":2,"lines":1}`, "     2\ttwo\n… it goes on at line 3\n", ""},
		{"read", `{"path":"a.txt","line":9}`, "(there are 3 lines)", ""},
		{"read", `{"path":"~/h.txt"}`, "at home", ""},
		{"read", `{"path":"` + home + `/h.txt"}`, "at home", ""},
		{"read", `{"path":"wide"}`, "     2\tend", ""},
		{"read", `{"path":"long","lines":99999}`, "it goes on at line 2001", ""},
		{"read", `{"path":"binary"}`, "", "no text"},
		{"read", `{"path":"pipe"}`, "", "no regular file"},
		{"read", `{"path":"/dev/zero"}`, "", "no regular file"},
		{"read", `{"path":"."}`, "", "is a folder"},
		{"read", `{"path":""}`, "", "a path is needed"},
		{"read", `{"path":"a\u0000b"}`, "", "a path is needed"},
		{"read", `{"path":"missing"}`, "", "no such file"},
		{"read", `{"file":"a.txt"}`, "", "unknown field"},
		{"write", `{"path":"new/deep/b.txt","content":"hello"}`, "5 bytes", ""},
		{"read", `{"path":"new/deep/b.txt"}`, "hello", ""},
		{"write", `{"path":"pipe","content":"x"}`, "", "no regular file"},
		{"edit", `{"path":"a.txt","old":"one","new":"1"}`, "1 replaced", ""},
		{"edit", `{"path":"a.txt","old":"two","new":"2"}`, "", "2 times"},
		{"edit", `{"path":"a.txt","old":"two","new":"2","all":true}`, "2 replaced", ""},
		{"edit", `{"path":"a.txt","old":"three","new":"3"}`, "", "not in the file"},
		{"edit", `{"path":"a.txt","old":"","new":"3"}`, "", "must be some"},
		{"read", `{"path":"a.txt"}`, "     1\t1\n     2\t2\n     3\t2\n", ""},
	} {
		out, err := use(t, tools, c.tool, c.args)
		if !strings.Contains(out, c.out) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || len(out) > most+wide {
			t.Errorf("%s %s: %.200q %v", c.tool, c.args, out, err)
		}
	}
}

// TestSearch: lines and names, what is left out, what is too much.
func TestSearch(t *testing.T) {
	folder := t.TempDir()
	put(t, folder+"/a.go", "func One() {}\nfunc Two() {}\n")
	put(t, folder+"/sub/b.txt", "One more\n")
	put(t, folder+"/.git/c", "One hidden\n")
	put(t, folder+"/bin", "One\x00")
	put(t, folder+"/many/x", strings.Repeat("hit\n", 1000))
	tools := Files(folder, "")
	for args, want := range map[string]string{
		`{"pattern":"One"}`:               "a.go:1: func One() {}\nsub/b.txt:1: One more\n",
		`{"pattern":"One","name":"*.go"}`: "a.go:1: func One() {}\n",
		`{"name":"*.txt"}`:                "sub/b.txt\n",
		`{"pattern":"zzz"}`:               "nothing found",
		`{"pattern":"One","path":"sub"}`:  "b.txt:1: One more\n",
	} {
		if out, err := use(t, tools, "search", args); out != want || err != nil {
			t.Errorf("%s: %q %v", args, out, err)
		}
	}
	if out, err := use(t, tools, "search", `{"pattern":"hit"}`); strings.Count(out, "hit") != maxHits || err != nil {
		t.Errorf("%d %v", strings.Count(out, "hit"), err)
	}
	for _, bad := range []string{`{"pattern":"("}`, `{"name":"["}`, `{"path":"missing"}`} {
		if _, err := use(t, tools, "search", bad); err == nil {
			t.Errorf("%s was searched", bad)
		}
	}
}

// TestFetch: text, HTML, much, errors, what is no page.
func TestFetch(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/html":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<title>T</title><script>evil()</script><p>Hello <b>there</b><p>you")
		case "/long":
			fmt.Fprint(w, strings.Repeat("long ", 100_000))
		case "/binary":
			fmt.Fprint(w, "a\x00b")
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		default:
			http.Error(w, "not here", http.StatusNotFound)
		}
	}))
	defer web.Close()
	tools := []assistant.Tool{Fetch()}
	for path, want := range map[string]struct {
		out  string
		fail bool
	}{"/html": {"T \nHello there \nyou", false}, "/long": {"bytes are left out", false}, "/binary": {"no text", false}, "/round": {"", true}, "/none": {"not here", true}} {
		out, err := use(t, tools, "fetch", `{"url":"`+web.URL+path+`"}`)
		if !strings.Contains(out, want.out) || (err != nil) != want.fail || len(out) > most+100 {
			t.Errorf("%s: %.200q %v", path, out, err)
		}
	}
	for _, bad := range []string{"file:///etc/passwd", "nothing", "http://"} {
		if _, err := use(t, tools, "fetch", `{"url":"`+bad+`"}`); err == nil {
			t.Errorf("%s was fetched", bad)
		}
	}
}

// TestSkills: skills are found where agents have them, read when they are wanted,
// and told of in what the model is told, beside the memory files.
func TestSkills(t *testing.T) {
	folder, home := t.TempDir(), t.TempDir()
	put(t, folder+"/.agents/skills/pdf/SKILL.md", "---\nname: pdf\ndescription: >\n  reads\n  PDFs\nmetadata: {a: b}\n---\nUse pdftotext.")
	put(t, home+"/.claude/skills/pdf/SKILL.md", "---\nname: pdf\ndescription: another\n---\n")
	put(t, home+"/.claude/skills/tar/SKILL.md", "---\nname: tar\ndescription: packs\n---\nUse tar.")
	put(t, home+"/.claude/skills/bad/SKILL.md", "no front matter")
	put(t, folder+"/AGENTS.md", "Use tabs.")
	list, problems := Skills(folder, home)
	if len(list) != 2 || list[0].About != "reads PDFs" || list[1].Name != "tar" || len(problems) != 1 {
		t.Errorf("%+v %v", list, problems)
	}
	notes := home + "/notes/memory.md"
	tools := []assistant.Tool{ReadSkill(list), Remember(notes)}
	if out, err := use(t, tools, "skill", `{"name":"pdf"}`); err != nil || !strings.Contains(out, "Use pdftotext.") || !strings.Contains(out, folder) {
		t.Errorf("%q %v", out, err)
	}
	if _, err := use(t, tools, "skill", `{"name":"../pdf"}`); err == nil {
		t.Error("a skill that is none was read")
	}
	for _, note := range []string{"first\\n* second", "third"} {
		if _, err := use(t, tools, "remember", `{"note":"`+note+`"}`); err != nil {
			t.Fatal(err)
		}
	}
	text := System(folder, home, notes, list, time.Unix(0, 0).UTC())
	for _, want := range []string{"Use tabs.", "* first * second\n* third\n", "* pdf: reads PDFs\n", "1970-01-01", folder} {
		if !strings.Contains(text, want) {
			t.Errorf("not told of %q:\n%s", want, text)
		}
	}
}

// FuzzSkill: a SKILL.md is read or refused; what is told of it is one line of text.
func FuzzSkill(f *testing.F) {
	f.Add([]byte("---\nname: a\ndescription: b\n---\n"))
	f.Add([]byte("---\nname: [a]\n---\n"))
	f.Add([]byte("\ufeff---\nname: a\ndescription: |\n  b\n  * c\n---\nd"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSkill("x", b)
		if err != nil {
			return
		}
		if s.Name == "" || len(s.About) > maxAbout || strings.ContainsAny(s.Name+s.About, "\n\r") || !utf8.ValidString(s.Name+s.About) {
			t.Errorf("%+v", s)
		}
	})
}

// FuzzPage: whatever a page holds, what is read of it is bounded text, without what is
// in its scripts.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"<title>T</title><p>a&amp;b", "<script>x</script>y", "<style><p>", "<!-- <p>a --><template>x</template>", "<a href=\"<p>\">\xff</a>"} {
		f.Add(s, "z")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const inside = "qqqvariableqqq"
		if strings.Contains(before+after, "qqq") {
			return
		}
		text := Bounded(words(before + after))
		if len(text) > 2*most+100 || !utf8.ValidString(text) {
			t.Errorf("%d bytes, %q", len(text), text)
		}
		if strings.ContainsAny(before, "<>&") {
			return // it may be in a comment, or in an attribute
		}
		if text := words(before + "<script>var " + inside + "</script>" + after); strings.Contains(text, inside) {
			t.Errorf("a script is told: %q", text)
		}
	})
}

// TestMoment: what may stand for a time.
func TestMoment(t *testing.T) {
	for when, want := range map[string]bool{"2026-01-31T15:04:05Z": true, "2h": true, "0 9 * * 1-5": true, "*/5 * * * *": true,
		"": false, "-2h": false, "tomorrow": false, "* * * *": false, "@daily": false, "0 9 * * mon": false, "0s": false} {
		if moment(when) != want {
			t.Errorf("%q: %t", when, !want)
		}
	}
}
