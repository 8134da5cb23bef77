package gateway

import (
	"strings"
	"testing"
)

func TestGitCommand(t *testing.T) {
	for line, want := range map[string]string{
		"git-upload-pack '/acme/site.git'":              "FETCH /acme/site.git/git-upload-pack",
		"git-upload-pack 'acme/site'":                   "FETCH /acme/site/git-upload-pack",
		"git receive-pack 'acme/site'":                  "PUSH /acme/site/git-receive-pack",
		"git-upload-archive 'acme/site'":                "",
		"git-upload-pack acme/site":                     "",
		"git-upload-pack '~acme/site'":                  "",
		"git-upload-pack 'a'; id '":                     "",
		"git-upload-pack 'a'\nid 'b'":                   "",
		"git-upload-pack 'a'\\''b'":                     "",
		"git-upload-pack 'a%2fb'":                       "",
		"git-upload-pack --timeout=1 'a'":               "",
		"git-upload-pack ''":                            "",
		" git-upload-pack 'a'":                          "",
		"git-upload-pack 'a' ":                          "",
		"git-lfs-authenticate acme/site upload":         "",
		"git-upload-pack '" + strings.Repeat("a", 2000): "",
	} {
		method, path, send, ok := gitCommand(line)
		if got := strings.TrimSpace(method + " " + path); got != want || ok != (want != "") || ok && !strings.HasSuffix(send, strings.TrimSuffix(path[:strings.LastIndex(path, "/")], "/")+"'") {
			t.Errorf("%q: %q, sends %q", line, got, send)
		}
	}
}

// FuzzGitCommand: whatever a program asks for, a shell outside reads two words,
// and the second is the path that was decided upon.
func FuzzGitCommand(f *testing.F) {
	for _, s := range []string{"git-upload-pack 'acme/site.git'", "git receive-pack '/a'", "git-upload-pack 'a'; id", "git-upload-pack 'a'\\''b'", "git-upload-pack '../a'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		_, path, send, ok := gitCommand(line)
		if !ok {
			return
		}
		program, repository, _ := strings.Cut(send, " ")
		bare := strings.TrimSuffix(strings.TrimPrefix(repository, "'"), "'")
		if path != bare+"/"+program || len(bare) != len(repository)-2 || strings.ContainsAny(bare, "'\\\n $`;&|<>~*?!\"") || bare[0] != '/' {
			t.Errorf("%q becomes %q, decided as %q", line, send, path)
		}
	})
}
