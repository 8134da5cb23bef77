package toolserver_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nacre"
	"nacre/test/programs"
)

// TestHostileSkill: whatever a tool server does, in a sandbox of its own, the agent
// gets an answer or a sentence, and the server goes on where it can.
func TestHostileSkill(t *testing.T) {
	programs.Needs(t, "curl")
	w := forTest(t)
	w.skill(t, "evil", "", map[string]string{"tools": "*"})
	script := list("evil")
	cases := map[string]string{
		"fine":    "done fine",
		"twice":   "is there twice",
		"deep":    "nested deeper than 64",
		"banner":  "not one JSON value",
		"large":   "a line is longer than is taken",
		"escapes": `\u001b]52;c;ZXZpbA==\u0007 and`,
		"sneaky":  "a character that nobody sees, U+E0073",
		"asks":    `"not available here`,
	}
	for tool := range cases {
		script += call("evil", tool)
	}
	script += call("evil", "change") + list("evil") + call("evil", "other") + post("evil", "last", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"unlisted","arguments":{}}}`)
	w.answer = "1s"
	w.skill(t, "slow", "", map[string]string{"tools": "*"})
	for _, tool := range []string{"hang", "another"} {
		script += call("slow", tool)
		cases[tool] = "it has not answered within 1s"
	}
	out := w.run(t, script)
	for tool, want := range cases {
		answer := said(out, tool)
		if !strings.Contains(strings.ReplaceAll(answer, `\"`, `"`), want) || strings.Contains(answer, "wrong") || !strings.Contains(answer, `"id":7`) {
			t.Errorf("%s: %s", tool, answer)
		}
	}
	has(t, said(out, "list"), `"name":"fine"`)
	for _, never := range []string{"sneaky\",", "your keys", "\x1b"} {
		if strings.Contains(out, never) {
			t.Errorf("%q is inside", never)
		}
	}
	has(t, said(out, "other"), "the definition of the tool has changed")
	has(t, said(out, "last"), "done unlisted")
	audit := w.audit.String()
	has(t, audit, "tools.server allow", "evil asks for \"sampling/createMessage\"", "evil asks for \"roots/list\"", `evil asks for "\x1b[2Jfree/text"`)
	if strings.Contains(audit, "\x1b") || strings.Contains(audit, "gateway.lost") {
		t.Error(audit)
	}
	if err := w.empty(); err != nil {
		t.Error(err)
	}
}

// TestSkillCutOff: a server that pours, insists or dies has no more to say; the agent
// is told, and goes on.
func TestSkillCutOff(t *testing.T) {
	programs.Needs(t, "curl")
	for tool, want := range map[string]string{"gigabyte": "longer than is taken", "flood": "the server has ended", "insist": "more than is taken", "crash": "the server has ended"} {
		t.Run(tool, func(t *testing.T) {
			w := forTest(t)
			w.skill(t, "evil", "limits: {output: 8MiB}\n", map[string]string{"tools": "*"})
			out := w.run(t, call("evil", tool)+call("evil", "fine")+"echo goes on")
			has(t, said(out, tool), want, `"id":7`)
			if tool != "gigabyte" { // which is read to its end, or cut off by then
				has(t, said(out, "fine"), "does not answer as it should")
			}
			has(t, out, "goes on")
			if strings.Contains(w.audit.String(), "gateway.lost") {
				t.Error(w.audit)
			}
			if err := w.empty(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSkillReaches: a server reaches nothing of the agent's, of the owner's, or of the
// network, which its skill does not have.
func TestSkillReaches(t *testing.T) {
	programs.Needs(t, "curl")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := forTest(t)
	w.skill(t, "evil", "", map[string]string{"tools": "*"})
	diary := filepath.Join(w.home, "agent", "diary")
	if err := os.MkdirAll(filepath.Dir(diary), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(diary, []byte("agents-own-secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.plan.Files = append(w.plan.Files, nacre.FileGrant{Host: filepath.Dir(diary), Inside: "/work/agent", Access: nacre.Read})
	w.plan.Identity.HostFolders = true
	w.plan.Environment = append(w.plan.Environment, nacre.Variable{Name: "KEY", Value: "agents-own-secret"})
	out := w.run(t, "touch note; cat /work/agent/diary >/dev/null && "+post("evil", "reach", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"reach","arguments":{"diary":"`+
		diary+`","home":"`+w.home+`","listener":"`+l.Addr().String()+`"}}}`))
	has(t, said(out, "reach"), "tried; []")
}

// TestSkillsApart: two servers with tools of the same names: each is called at its own
// place, with its own grant, and neither answers for the other.
func TestSkillsApart(t *testing.T) {
	programs.Needs(t, "curl")
	w := forTest(t)
	w.skill(t, "good", "", map[string]string{"tools": "fine; argue", "arguments": "only; city?=*"})
	w.skill(t, "evil", "", map[string]string{"tools": "other"})
	out := w.run(t, call("evil", "fine")+post("good", "argue", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"argue","arguments":{"city":"Bern"}}}`)+
		post("good", "more", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"argue","arguments":{"path":"x"}}}`)+call("evil", "other")+call("good", "hang"))
	has(t, said(out, "fine"), `the tool \"fine\" of evil is not granted`)
	has(t, said(out, "argue"), `done argue {\"city\":\"Bern\"}`)
	has(t, said(out, "more"), "is not among those of the grant")
	has(t, said(out, "other"), "done other")
	has(t, said(out, "hang"), "is not granted")
}
