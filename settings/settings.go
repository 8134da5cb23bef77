// Package settings lists, by name, the folders and files of a project that tell
// programs what to run: hooks, editors, agents, and what is loaded on entering
// a folder. The native engine keeps existing ones read-only in a writable
// folder, and package traps reports new ones. It is data: no code but a look-up.
//
// All names are in lower case, and stand for a folder or a file wherever it lies.
package settings

import "slices"

// Kind is what reads a setting.
type Kind uint8

// The kinds.
const (
	Hooks        Kind = iota // run by git, where its configuration names them
	Editors                  // tasks, extensions and containers that an editor starts
	Style                    // obeyed by editors, and runs nothing
	Agents                   // hooks, tool servers and permissions of coding agents
	Instructions             // read by coding agents as if their owner had said them
	Entering                 // run by a shell that enters the folder
)

var lists = [...][]string{
	Hooks:   {".husky", ".githooks", ".pre-commit-config.yaml"},
	Editors: {".vscode", ".idea", ".zed", ".fleet", ".devcontainer"},
	Style:   {".editorconfig"},
	Agents: {".claude", ".codex", ".gemini", ".qwen", ".cursor", ".opencode", ".pi", ".cline", ".roo", ".kiro",
		".windsurf", ".continue", ".agents", ".openclaw", ".mcp.json", ".aider.conf.yml"},
	Instructions: {"claude.md", "claude.local.md", "agents.md", "agent.md", "gemini.md", "qwen.md",
		"copilot-instructions.md", ".cursorrules", ".windsurfrules", ".clinerules"},
	Entering: {".envrc"},
}

// Names lists the settings of a kind.
func (k Kind) Names() []string { return slices.Clone(lists[k]) }

// Has tells whether a name, in lower case, is in one of the lists.
func Has(folded string) bool {
	return slices.ContainsFunc(lists[:], func(list []string) bool { return slices.Contains(list, folded) })
}
