package model

import "encoding/json"

// Usage is what a request used, in tokens.
type Usage struct {
	In, Out              int64
	Cached               int64 // went in, and the provider had kept it
	Written, WrittenHour int64 // went in, and the provider keeps it
}

// Input is all that went in.
func (u Usage) Input() int64 { return u.In + u.Cached + u.Written + u.WrittenHour }

// Sum is all.
func (u Usage) Sum() int64 { return u.Input() + u.Out }

// counts are the ways in which providers say what was used.
type counts struct {
	Input      int64 `json:"input_tokens"` // Anthropic: besides what is kept; OpenAI: all
	Output     int64 `json:"output_tokens"`
	Written    int64 `json:"cache_creation_input_tokens"`
	Read       int64 `json:"cache_read_input_tokens"`
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Creation   struct {
		Hour int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	InDetails cachedOf `json:"input_tokens_details"`
	PrDetails cachedOf `json:"prompt_tokens_details"`
}

type cachedOf struct {
	Cached int64 `json:"cached_tokens"`
}

// metadata is how Gemini says it.
type metadata struct {
	Prompt     int64 `json:"promptTokenCount"` // all of it
	Tools      int64 `json:"toolUsePromptTokenCount"`
	Cached     int64 `json:"cachedContentTokenCount"`
	Candidates int64 `json:"candidatesTokenCount"`
	Thoughts   int64 `json:"thoughtsTokenCount"`
	Total      int64 `json:"totalTokenCount"`
}

// said is a reply, or one event of a stream, as far as it says what was used.
type said struct {
	Usage    *counts `json:"usage"`
	Message  struct{ Usage *counts }
	Response struct{ Usage *counts }
	Metadata *metadata `json:"usageMetadata"`
	Choices  []struct {
		Finish *string `json:"finish_reason"`
	} `json:"choices"`
	Candidates []struct {
		Finish string `json:"finishReason"`
	} `json:"candidates"`
}

// note takes over what a document says. It tells whether nothing more is to come:
// what is said at the beginning of a stream is not all.
func (u *Usage) note(document []byte) (final bool) {
	var s said
	if json.Unmarshal(document, &s) != nil {
		return false
	}
	for _, c := range []*counts{s.Usage, s.Message.Usage, s.Response.Usage} {
		if c != nil { // later events of a stream count from its beginning
			cached := within(max(c.InDetails.Cached, c.PrDetails.Cached))
			hour := within(c.Creation.Hour)
			u.most(Usage{In: within(max(c.Input, c.Prompt)) - cached, Out: within(max(c.Output, c.Completion)), Cached: cached + within(c.Read),
				Written: within(c.Written) - hour, WrittenHour: hour})
		}
	}
	if m := s.Metadata; m != nil {
		in, cached := within(m.Prompt)+within(m.Tools), within(m.Cached)
		u.most(Usage{In: in - cached, Out: max(within(m.Candidates)+within(m.Thoughts), within(m.Total)-in), Cached: cached})
		return len(s.Candidates) == 0 || s.Candidates[0].Finish != ""
	}
	return s.Response.Usage != nil || s.Usage != nil && (len(s.Choices) == 0 || s.Choices[0].Finish != nil)
}

// most has the greater of each.
func (u *Usage) most(v Usage) {
	u.In, u.Out, u.Cached = max(u.In, v.In), max(u.Out, v.Out), max(u.Cached, v.Cached)
	u.Written, u.WrittenHour = max(u.Written, v.Written), max(u.WrittenHour, v.WrittenHour)
}

// within is a number that can be reckoned with.
func within(n int64) int64 { return max(0, min(n, Highest/8)) }
