package toolserver_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nacre/manifest"
	"nacre/skill"
	"nacre/toolserver"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{ // the answer, or what is wrong
		"version: 1\ncommand: [./serve]\n":                                               "10m0s",
		"version: 1\ncommand: [node, server.js]\nanswer: 30s\n":                          "30s",
		"version: 1\ncommand: [x]\nanswer: 10m\nurl: http://127.0.0.1:8000/mcp\n":        "10m0s",
		"version: 1\ncommand: [x]\nanswer: 11m\n":                                        "at most 10m0s",
		"version: 1\ncommand: [x]\nanswer: 1h\n":                                         "how long one answer",
		"version: 1\ncommand: [x]\nanswer: 0s\n":                                         "how long one answer",
		"version: 1\ncommand: []\n":                                                      "command",
		"version: 1\ncommand: ['']\n":                                                    "expected a program",
		"version: 1\ncommand: [\"a\\0\"]\n":                                              "without NUL",
		"version: 1\n":                                                                   "command",
		"version: 2\ncommand: [x]\n":                                                     "version",
		"version: 1\ncommand: [x]\nnetwork: [example.com]\n":                             "unknown key",
		"version: 1\ncommand: [x]\nurl: http://localhost:8000/mcp\n":                     "where the server speaks HTTP",
		"version: 1\ncommand: [x]\nurl: http://127.0.0.1:8000/mcp?x\n":                   "where the server speaks HTTP",
		"version: 1\ncommand: [x]\nurl: http://169.254.169.254:80/\n":                    "where the server speaks HTTP",
		"version: 1\ncommand: [x]\nurl: http://127.0.0.1:8000@evil.example.com:80/mcp\n": "where the server speaks HTTP",
	} {
		tool, err := toolserver.Parse([]byte(text))
		if err != nil && !strings.Contains(err.Error(), want) || err == nil && tool.Patience().String() != want {
			t.Errorf("%q: %v, %v; want %s", text, tool, err, want)
		}
	}
	if (&toolserver.Tool{}).Patience() != 10*time.Minute {
		t.Error("the patience of none")
	}
}

// TestManifest: a server asks for what its skill says, and nothing without.
func TestManifest(t *testing.T) {
	s := &skill.Skill{Kind: skill.Tool, Front: skill.Front{Name: "notes"}}
	tool, err := toolserver.Parse([]byte("version: 1\ncommand: [./serve, ./x]\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := toolserver.Manifest(s, tool)
	if err != nil || m.Name != "notes" || !slices.Equal(m.Command, []string{"/home/agent/.agents/skills/notes/serve", "./x"}) || m.Workdir != "/home/agent/.agents/skills/notes" ||
		len(m.Files)+len(manifest.Entries(m.Capabilities))+len(m.Environment) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	s.Capabilities = &manifest.Manifest{Version: 1, Name: "notes", Workdir: "/work", Loopback: true}
	tool.URL.Value = "http://127.0.0.1:1/"
	if m, err = toolserver.Manifest(s, tool); err != nil || m.Workdir != "/work" || !slices.Equal(m.Command[:2], []string{toolserver.Bridge, "http://127.0.0.1:1/"}) || s.Capabilities.Command != nil {
		t.Errorf("%+v, %v", m, err)
	}
	s.Capabilities.Tools = []manifest.Tool{{Server: "far", URL: "https://mcp.example.com/mcp"}, {Server: "notes", Skill: "notes"}}
	if m, err := toolserver.Manifest(s, tool); err == nil || !strings.Contains(err.Error(), "without end") {
		t.Errorf("a server that asks for itself: %+v, %v", m, err)
	}
	s.Capabilities.Tools = nil
	s.Capabilities.Command = []string{"other"}
	if _, err = toolserver.Manifest(s, tool); err == nil || !strings.Contains(err.Error(), "tool.yaml says it") {
		t.Error(err)
	}
	s.Capabilities.Command, s.Kind = nil, skill.Knowledge
	if _, err = toolserver.Manifest(s, tool); err == nil || !strings.Contains(err.Error(), "no tool server") {
		t.Error(err)
	}
}
