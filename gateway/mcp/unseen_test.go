package mcp

import "testing"

// TestUnseen: what a model reads and a person does not is found, wherever it is.
func TestUnseen(t *testing.T) {
	for text, want := range map[string]string{
		"plain, é, 漢字\n\tfour": "", "👩\u200d👧 ❤\ufe0f न\u200dय": "",
		"a\u200db": "U+200D", "❤\ufe0f\ufe0f": "U+FE0F", "a\u202eb": "U+202E", "a\u2066b": "U+2066", "a\u200bb": "U+200B", "\ufeffa": "U+FEFF", "a\U000e0041b": "U+E0041", "a\U000e0101": "U+E0101",
		"a\u00adb": "U+00AD", "a\x1b[8mb": "U+001B", "a\u2028b": "U+2028", "a\u3164b": "U+3164", "a\u2800b": "U+2800", "a\u009bb": "U+009B", "a\u180fb": "U+180F",
	} {
		for name, v := range map[string]any{"text": text, "list": []any{"x", text}, "value": map[string]any{"a": map[string]any{"b": text}}, "name": map[string]any{text: 1}} {
			if got := Unseen(v); got != want {
				t.Errorf("%s %q: %q, want %q", name, text, got, want)
			}
		}
	}
	if Unseen(map[string]any{"a": nil, "b": true, "c": 1}) != "" {
		t.Error("what is no text")
	}
}
