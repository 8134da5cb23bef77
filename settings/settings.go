// Package settings lists, by name, the folders and files of a project that tell
// programs what to run: hooks, editors, agents, and what is loaded on entering
// a folder. The native engine keeps existing ones read-only in a writable
// folder, and package traps reports new ones. It is data: no code but a look-up.
//
// All names are in lower case, and stand for a folder or a file wherever it lies.
package settings

import "slices"

// Hooks are run by git, where its configuration names them.
func Hooks() []string { return []string{".husky", ".githooks", ".pre-commit-config.yaml"} }

// Editors hold tasks, extensions and containers that an editor starts.
func Editors() []string { return []string{".vscode", ".idea", ".zed", ".fleet", ".devcontainer"} }

// Style is obeyed by editors, and runs nothing.
func Style() []string { return []string{".editorconfig"} }

// Agents hold hooks, tool servers and permissions of coding agents.
func Agents() []string {
	return []string{".claude", ".codex", ".gemini", ".qwen", ".cursor", ".opencode", ".pi", ".cline", ".roo", ".kiro",
		".windsurf", ".continue", ".agents", ".openclaw", ".mcp.json", ".aider.conf.yml"}
}

// Instructions are read by coding agents as if their owner had said them.
func Instructions() []string {
	return []string{"claude.md", "claude.local.md", "agents.md", "agent.md", "gemini.md", "qwen.md",
		"copilot-instructions.md", ".cursorrules", ".windsurfrules", ".clinerules"}
}

// Entering is run by a shell that enters the folder.
func Entering() []string { return []string{".envrc"} }

// All is the names of every list.
func All() []string {
	return slices.Concat(Hooks(), Editors(), Style(), Agents(), Instructions(), Entering())
}
