package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"nacre/egress"
	"nacre/manifest"
	"nacre/skill"
	"nacre/unseen"
)

// place is where the n-th line of a text is.
type place func(n int) string

func lines(name string) place { return func(n int) string { return fmt.Sprintf("%s:%d", name, n) } }

// text looks at a text line by line.
func (l *look) text(where place, name, text string, code bool) {
	l.hidden(where, text)
	text = visible(text)
	for i, line := range strings.Split(text, "\n") {
		at := where(i + 1)
		l.shapes(at, line)
		if strings.Contains(line, "<!--") && isDocument(name) {
			l.add(Note, HiddenText, at, "a comment: whoever reads the page does not see it, an agent does")
		}
		if name != skill.CapabilitiesFile {
			l.reaches(at, line, code)
		}
	}
	// A sentence may be broken over lines.
	whole := strings.Join(strings.Fields(text), " ")
	for _, s := range l.forms {
		if s.kind == Injection && s.form.MatchString(whole) && !l.has(Injection, name) {
			l.add(s.severity, s.kind, name, "%s", s.why)
		}
	}
}

// has tells whether a file has a finding of a kind.
func (l *look) has(kind, name string) bool {
	return slices.ContainsFunc(l.list, func(f Finding) bool {
		return f.Kind == kind && (f.Where == name || strings.HasPrefix(f.Where, name+":"))
	})
}

// hidden tells of the first hidden character of each sort, and how many.
func (l *look) hidden(where place, text string) {
	type sort struct {
		at, count int
		first     rune
	}
	found, order := map[string]*sort{}, []string{}
	for i, c := range unseen.In(text) {
		if i == 0 && c.Rune == 0xfeff {
			continue
		}
		if found[c.What] == nil {
			found[c.What] = &sort{at: i, first: c.Rune}
			order = append(order, c.What)
		}
		found[c.What].count++
	}
	for _, what := range order {
		s := found[what]
		l.add(High, HiddenText, where(1+strings.Count(text[:s.at], "\n")), "U+%04X %s (%d such)", s.first, what, s.count)
	}
}

// visible is a text without what does not show, so that words cannot be broken up.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unseen.Is(r) {
			return -1
		}
		if r >= 0xff01 && r <= 0xff5e { // full-width letters
			return r - 0xfee0
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// form is a form of words, and why it is told.
type form struct {
	severity Severity
	kind     string
	form     *regexp.Regexp
	why      string
}

func words(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + pattern) }

// forms are what a skill has little reason to hold.
func forms() []form {
	return []form{
		{High, Injection, words(`\b(ignore|disregard|forget|override|bypass)\b.{0,30}\b(all|any|every|previous|prior|earlier|above|other|system|your|user'?s?)\b.{0,30}\b(instructions?|prompts?|rules?|guidelines?|polic(y|ies)|restrictions?|directives?)`), "it tells an agent to pass over what others have told it"},
		{High, Injection, words(`\b(do not|don'?t|never|without)\b.{0,20}\b(tell|telling|mention|mentioning|reveal|inform|informing|notify|notifying|show|alert|asking|ask)\b.{0,30}\b(the )?(user|owner|human|operator|anyone|them)\b`), "it tells an agent to keep something from its owner"},
		{High, Injection, words(`\b(secretly|silently|covertly|in secret|in the background)\b.{0,40}\b(send|upload|post|run|execute|copy|add|install|write|read|fetch|forward)`), "it tells an agent to do something unseen"},
		{High, Injection, words(`</?(system|assistant|human|user|tool_result|function_results|antml:[a-z_]+|system-reminder|instructions?)>|\[/?INST\]|<\|(im_start|im_end|system|user|assistant|endoftext)\|>|\b(END|BEGIN) (OF )?(SYSTEM|SKILL|USER) (PROMPT|INSTRUCTIONS?|MESSAGE)\b`), "it imitates the marks between a model's owner and its input"},
		{High, Injection, words(`\b(you are|you're|act as|pretend to be) (now|no longer|in (developer|debug|god|dan|jailbreak)|an unrestricted|an? (root|admin))`), "it tells an agent to be somebody else"},
		{High, Injection, words(`\b(new|updated|real|actual|hidden|important) (system )?(prompt|instructions?|directive)s?\s*:`), "it announces instructions within instructions"},
		{High, Injection, words(`\b(user|owner|operator|administrator|anthropic|openai|google) (has|have) (already )?(pre-?)?(approved|authori[sz]ed|consented|agreed|granted|allowed)`), "it claims that somebody has agreed already"},
		{High, Injection, words(`--(dangerously-[a-z-]+|yolo|accept-findings|skip-trust)\b|\bnacre (policy allow|skill (add|update))\b`), "it names flags and commands that take protection away"},
		{High, Secrets, words(`(~|\$HOME|/home/[^/ ]+|/root)/\.(ssh|aws|gnupg|kube|docker|netrc|npmrc|pypirc|config/(gh|gcloud|op)|git-credentials|claude|codex)|\bid_(rsa|ed25519|ecdsa)\b|/etc/shadow|/proc/(self|\d+|\*)/environ|169\.254\.169\.254|metadata\.google\.internal`), "it names a place where secrets lie"},
		{High, Secrets, words(`\b(cat|read|print|echo|dump|send|include|upload|copy|collect|exfiltrate|grep)\b.{0,60}(\.env\b|[A-Z]+_(API_KEY|TOKEN|SECRET|PASSWORD)\b|api keys?\b|credentials?\b|private keys?\b|passwords?\b|environment variables?\b)`), "it speaks of reading or sending secrets"},
		{High, Shell, words(`\b(curl|wget|fetch|iwr|invoke-webrequest)\b[^|;&]{0,300}\|\s*(sudo\s+)?(ba|z|da|k)?sh\b|\|\s*(sudo\s+)?(python[0-9.]*|node|perl|ruby|php)\s*(-|$)|\b(ba|z)?sh\s+<\(|\b(ba|z)?sh -c "?\$\((curl|wget)`), "what is fetched is run, whatever it is by then"},
		{High, Shell, words(`\bbase64\s+(-d|--decode|-D)\b|\beval\s*\(?\s*(atob|base64|\$\()|\bexec\(\s*(base64|bytes\.fromhex|codecs)|\bFromBase64String\b`), "something is decoded and run, or may be"},
		{High, Shell, words(`\brm\s+-[a-z]*r[a-z]*f?[a-z]*\s+(/|~|\$HOME)(\s|$|\*)|\bmkfs\b|\bdd\s+[^\n]*of=/dev/|:\(\)\s*\{\s*:\|:&\s*\};:`), "it would destroy what is there"},
		{High, Stay, words(`\bcrontab\b|\bsystemctl\s+(--user\s+)?enable|\blaunchctl\b|>>\s*(~|\$HOME)/\.(bashrc|zshrc|profile|bash_profile)|\.git/hooks/|\bauthorized_keys\b|LaunchAgents|\bnohup\b`), "it would be run again later"},
		{High, Stay, words(`\b(add|append|write|insert|edit|update|modify|overwrite|save)\b.{0,60}\b(CLAUDE\.md|AGENTS\.md|GEMINI\.md|\.claude/settings|settings\.json|\.mcp\.json|\.cursorrules|MEMORY\.md|SOUL\.md)`), "it tells an agent to change what agents obey"},
	}
}

func (l *look) shapes(at, line string) {
	for _, s := range l.forms {
		if found := s.form.FindString(line); found != "" {
			l.add(s.severity, s.kind, at, "%s: %.100q", s.why, found)
		}
	}
}

// network are the forms of addresses, and of programs that go there.
func network() (address, clients *regexp.Regexp) {
	return regexp.MustCompile(`(?i)\b(?:https?|wss?|ftp|ssh|git)://(?:[^\s/@"'<>]*@)?([a-z0-9][a-z0-9.-]*[a-z0-9]|\[[0-9a-f:]+\])`),
		words(`\b(curl|wget|ncat|netcat|telnet|socat|scp|sftp|rsync|ssh)\s+[-\w]|\bnc\s+-|\brequests\.(get|post|put|request|Session)|\burllib\.request|\burlopen\(|\bhttpx?\.(get|post|Client|AsyncClient)|\bsocket\.(socket|create_connection)|\bfetch\(\s*["'` + "`" + `]|\baxios\b|\bnet\.Dial|\bhttp\.(Get|Post)\(|/dev/(tcp|udp)/|\b(npm|pnpm|yarn|pip3?|uv|cargo|gem|go|brew|apt(-get)?)\s+(install|add|i|get)\b|\b(npx|uvx)\s+[-@\w]|\bgit\s+(clone|pull|push|fetch)\b`)
}

// examples are hosts that lead nowhere, or name formats.
var examples = []string{"example.com", "example.org", "example.net", "localhost", "127.0.0.1", "www.w3.org", "schemas.openxmlformats.org",
	"schemas.microsoft.com", "purl.org", "json-schema.org"}

// reaches tells of hosts and network programs that nothing was declared for. In
// a text they are mostly references; in code they are meant.
func (l *look) reaches(at, line string, code bool) {
	severity := Note
	if code {
		severity = High
	}
	for _, m := range l.address.FindAllStringSubmatch(line, 20) {
		host := strings.ToLower(strings.Trim(m[1], "[]"))
		if !slices.Contains(examples, host) && !strings.HasSuffix(host, ".example") && !strings.HasSuffix(host, ".example.com") && !l.declared(host) {
			l.add(severity, Network, at, "it names %s, which is not among what it declares", host)
		}
	}
	if found := l.clients.FindString(line); found != "" && (l.skill.Capabilities == nil || len(l.skill.Capabilities.Network) == 0) {
		l.add(severity, Network, at, "it uses a network (%.60q) and declares none", found)
	}
}

func (l *look) declared(host string) bool {
	if l.skill.Capabilities == nil {
		return false
	}
	return slices.ContainsFunc(l.skill.Capabilities.Network, func(n manifest.Network) bool { return egress.CoversHost(n.Host, host) })
}
