package check

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"nacre/pattern"
	"nacre/skill"
)

// shells are the tools by which agents run programs, in lower case, as several call
// theirs.
var shells = []string{"*", "bash", "shell", "powershell", "terminal", "execute", "exec", "exec_command", "run_command", "run_shell_command", "run_terminal_cmd",
	"execute_command", "local_shell"}

// shellScripts are the endings of what a shell runs.
var shellScripts = []string{".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".cmd"}

var shebang = pattern.Of(`^#![^\n]*\b(ba|z|da|k|fi)?sh\b`)

// starts are the forms of starting programs: from code, and told to whoever reads.
func starts() (code, told *regexp.Regexp) {
	return regexp.MustCompile(`\bsubprocess\.\w|\bfrom\s+subprocess\s+import\b|\bos\.(system|popen|exec[lv]\w*|spawn\w+|posix_spawn\w*)\s*\(|\bpty\.spawn\b|\bcreate_subprocess_(exec|shell)\b|` +
			`\bchild_process\b|\b(execSync|execFile(Sync)?|spawnSync)\s*\(|\b(Deno\.(Command|run)|Bun\.(spawn|\$))|\b(shell_exec|passthru|proc_open|popen|system)\s*\(|\bOpen3\.|\bIO\.popen\b|%x[({\[]|` +
			`\bos\.execute\s*\(|\bio\.popen\s*\(|\bexec\.Command(Context)?\(|\bCommand::new\(|\bProcessBuilder\b|\bStart-Process\b|(?i:\binvoke-expression\b)|\bdo shell script\b|` +
			`\[\s*["'](/(usr/)?bin/)?(ba|z|da)?sh["']\s*,\s*["']-\w*c["']`),
		words("^\\s*```+\\s*\\{?\\.?(bash|sh|shell|zsh|console|powershell|shellsession)\\b|\\b(run|execute|call|invoke|start)\\b[^.`]{0,40}`[^`]+`")
}

// declaredShell tells whether its author's allowed-tools have a shell, and whether
// one for anything.
func declaredShell(allowed string) (some, any bool) {
	for _, tool := range toolForm().FindAllStringSubmatch(allowed, -1) {
		if slices.Contains(shells, strings.ToLower(tool[1])) {
			some = true
			any = any || tool[2] == "" || tool[2] == "(*)" || tool[1] == "*"
		}
	}
	return some, any
}

// toolForm is one of the allowed tools, with what of it is allowed in brackets.
var toolForm = pattern.Of(`([^\s,()]+)(\([^()]*\))?`)

// runs tells of the first place in a text where programs are started, which its
// author's allowed-tools do not say. What a skill runs in a sandbox of its own is no
// matter of an agent's tools.
func (l *look) runs(where place, name, text string, code bool) {
	some, any := declaredShell(l.skill.AllowedTools)
	if any || l.skill.Kind != skill.Knowledge {
		return
	}
	severity, why := Note, "which its allowed-tools do not speak of"
	switch {
	case some:
		why = "its allowed-tools have a shell for some only"
	case l.skill.AllowedTools != "" && code:
		severity = High
		fallthrough
	case l.skill.AllowedTools != "":
		why = "which is beyond its allowed-tools"
	}
	if code && (slices.Contains(shellScripts, strings.ToLower(path.Ext(name))) || shebang().MatchString(text)) {
		l.add(severity, Shell, name, "it is run by a shell, %s", why)
		return
	}
	form := l.told
	if code {
		form = l.starts
	}
	for i, line := range strings.Split(text, "\n") {
		if found := form.FindString(line); found != "" {
			l.add(severity, Shell, where(i+1), "it starts programs (%.60q), %s", found, why)
			return
		}
	}
}
