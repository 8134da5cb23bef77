package acp

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"nacre/policy"
)

// The methods that mean something here.
const (
	initialize = "initialize"
	permission = "session/request_permission"
	update     = "session/update"
)

// opening are the editor's requests that name folders.
var opening = []string{"session/new", "session/load", "session/resume", "session/fork"}

// heard passes on one message of the editor's.
func (b *Bridge) heard(m message) error {
	if m.reply() {
		if b.answered(&b.wanted, m) == "" {
			return nil // to nothing that was asked
		}
		return b.toAgent(m)
	}
	if m.method == initialize && m.params != nil {
		m.params["clientCapabilities"] = map[string]any{"fs": map[string]any{"readTextFile": false, "writeTextFile": false}, "terminal": false}
	}
	if slices.Contains(opening, m.method) {
		if why := b.open(m.params); why != "" {
			b.tell(why)
			if m.id == nil {
				return nil
			}
			return b.toEditor(refusal(m, why))
		}
	}
	if m.id != nil && !b.wait(&b.asked, m) {
		return b.toEditor(refusal(m, "the id is in use, or too many requests wait"))
	}
	return b.toAgent(m)
}

// open holds a session to what was granted; what it says is why not.
func (b *Bridge) open(params map[string]any) string {
	folders := []any{params["cwd"]}
	if more, ok := params["additionalDirectories"].([]any); ok {
		folders = append(folders, more...)
	}
	for _, f := range folders {
		if f != nil && !b.granted(f) {
			return fmt.Sprintf("the folder %.200v is not granted: nacre acp --files FOLDER:write", f)
		}
	}
	if servers, ok := params["mcpServers"].([]any); ok && len(servers) > 0 {
		b.tell("the editor's tool servers are left out: they would run outside; tools are granted in a manifest")
	}
	if _, there := params["mcpServers"]; there {
		params["mcpServers"] = []any{}
	}
	return ""
}

// granted tells whether a path lies in a granted folder, by its letters.
func (b *Bridge) granted(written any) bool {
	p, ok := written.(string)
	return ok && path.IsAbs(p) && slices.ContainsFunc(b.Folders, func(f string) bool { return policy.Within(f, path.Clean(p)) })
}

// said passes on one message of the agent's, if it may say that.
func (b *Bridge) said(m message) error {
	switch {
	case m.reply():
		method := b.answered(&b.asked, m)
		if method == "" {
			b.tell("an answer of the agent's to nothing that was asked")
			return nil
		}
		if result, ok := m.fields["result"].(map[string]any); ok && method == initialize {
			plainMethods(result)
		}
	case m.method == update && m.id == nil:
	case m.method == permission && m.id != nil:
		if !b.wait(&b.wanted, m) {
			return b.toAgent(refusal(m, "the id is in use, or too many requests wait"))
		}
	default:
		b.tell(fmt.Sprintf("the agent asked the editor for %.64q, and was refused", m.method))
		if m.id == nil {
			return nil
		}
		return b.toAgent(refusal(m, "an editor does this for no agent in a sandbox: use your own files and programs"))
	}
	b.clean(m.fields)
	m.params, _ = m.fields["params"].(map[string]any)
	return b.toEditor(m)
}

// plainMethods leaves of the ways to log in what is shown, and nothing to be run.
func plainMethods(result map[string]any) {
	methods, _ := result["authMethods"].([]any)
	for i, method := range methods {
		plain := map[string]any{}
		fields, _ := method.(map[string]any)
		for _, name := range []string{"id", "name", "description"} {
			if v, ok := fields[name].(string); ok {
				plain[name] = v
			}
		}
		methods[i] = plain
	}
}

// clean takes extensions out of what an agent says, and places outside of what was
// granted, which an editor might open.
func (b *Bridge) clean(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			b.clean(item)
		}
	case map[string]any:
		for name, item := range v {
			if strings.HasPrefix(name, "_") {
				delete(v, name)
				continue
			}
			if places, ok := item.([]any); ok && name == "locations" {
				v[name] = slices.DeleteFunc(places, func(place any) bool {
					fields, ok := place.(map[string]any)
					return !ok || !b.granted(fields["path"])
				})
			}
			b.clean(v[name])
		}
		switch {
		case v["type"] == "diff" && !b.granted(v["path"]):
			maps.DeleteFunc(v, func(string, any) bool { return true })
			v["type"], v["content"] = "content", map[string]any{"type": "text", "text": elsewhere}
		case v["uri"] != nil && !b.shown(v["uri"]):
			v["uri"] = "about:blank"
		}
	}
}

// elsewhere stands in place of what an agent shows of a file outside.
const elsewhere = "(nacre: a change of a file that is not granted)"

// shown tells whether an editor may open an address for its owner: a page, or a
// file in a granted folder.
func (b *Bridge) shown(written any) bool {
	text, _ := written.(string)
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http", "https":
		return true
	case "file":
		return u.Host == "" && b.granted(u.Path)
	}
	return false
}
