package native

import (
	"slices"
	"strings"
)

// settings are folders and files by which agents, editors and shells are told
// what to run. Those that exist in a writable folder stay as they are; new ones
// are reported after the run (package traps).
var settings = []string{
	".vscode", ".idea", ".zed", ".fleet", ".devcontainer", ".husky", ".githooks", // editors and hooks
	".claude", ".codex", ".gemini", ".qwen", ".cursor", ".opencode", ".pi", ".cline", ".roo", ".kiro",
	".windsurf", ".continue", ".agents", ".openclaw", // agents
	"claude.md", "claude.local.md", "agents.md", "agent.md", "gemini.md", "qwen.md", "copilot-instructions.md",
	".cursorrules", ".windsurfrules", ".clinerules", ".mcp.json", ".aider.conf.yml", // their instructions
	".envrc", ".editorconfig", ".pre-commit-config.yaml", // run on entering, editing, committing
}

// gitControl is what of a git folder decides what git runs.
var gitControl = []string{"hooks", "config", "config.worktree", "commondir"}

// guarded says what of a writable folder is guarded. A git folder is held in
// place, and what of it decides what git runs is read-only, in submodules too.
func guarded(parents []string, name string) (guarded, readOnly bool) {
	git := slices.Index(parents, ".git")
	switch {
	case name == ".git":
		return true, false
	case git >= 0 && slices.Contains(gitControl, name):
		inside := parents[git+1:]
		own := len(inside) == 0
		submodule := len(inside) >= 2 && inside[0] == "modules"
		return own || submodule, true
	default:
		return git < 0 && slices.Contains(settings, strings.ToLower(name)), true
	}
}
