package provider

import (
	"context"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"nacre/assistant"
)

// retries is how often a request is made again that the provider could not serve.
const retries = 4

// messages is Anthropic's interface.
type messages struct {
	service anthropic.MessageService // and not the whole client, most of which the linker then leaves out
	model   string
}

func newMessages(model string) (assistant.Provider, error) {
	options := append(anthropic.DefaultClientOptions(), option.WithMaxRetries(retries))
	return messages{anthropic.NewMessageService(options...), model}, nil
}

// Next streams one answer.
func (m messages) Next(ctx context.Context, r assistant.Request, hear func(string)) (assistant.Turn, error) {
	q, err := m.request(r)
	if err != nil {
		return assistant.Turn{}, err
	}
	var whole anthropic.Message
	stream := m.service.NewStreaming(ctx, q)
	defer stream.Close()
	for stream.Next() {
		e := stream.Current()
		if err := whole.Accumulate(e); err != nil {
			return assistant.Turn{}, err
		}
		if d := e.Delta; e.Type == "content_block_delta" && d.Type == "text_delta" {
			hear(d.Text)
		}
	}
	if err := stream.Err(); err != nil {
		return assistant.Turn{}, err
	}
	return m.turn(whole), nil
}

func (m messages) request(r assistant.Request) (anthropic.MessageNewParams, error) {
	lasting := anthropic.NewCacheControlEphemeralParam()
	q := anthropic.MessageNewParams{Model: m.model, MaxTokens: int64(r.Most),
		System: []anthropic.TextBlockParam{{Text: r.System, CacheControl: lasting}}}
	for _, t := range r.Tools {
		s, err := schema(t)
		if err != nil {
			return q, err
		}
		delete(s, "type") // the SDK says it
		properties := s["properties"]
		delete(s, "properties")
		q.Tools = append(q.Tools, anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{Name: t.Name, Description: anthropic.String(t.About),
			InputSchema: anthropic.ToolInputSchemaParam{Properties: properties, ExtraFields: s}}})
	}
	for _, one := range r.Messages {
		q.Messages = append(q.Messages, m.message(one))
	}
	if n := len(q.Messages); n > 0 { // what was said so far costs a tenth when it is said again
		blocks := q.Messages[n-1].Content
		if c := blocks[len(blocks)-1].GetCacheControl(); c != nil {
			*c = lasting
		}
	}
	return q, nil
}

func (messages) message(m assistant.Message) anthropic.MessageParam {
	var blocks []anthropic.ContentBlockParamUnion
	for _, r := range m.Results {
		blocks = append(blocks, anthropic.NewToolResultBlock(r.ID, r.Text, r.Failed))
	}
	if m.Text != "" {
		blocks = append(blocks, anthropic.NewTextBlock(m.Text))
	}
	for _, c := range m.Calls {
		blocks = append(blocks, anthropic.NewToolUseBlock(c.ID, c.Args, c.Name))
	}
	if m.Model {
		return anthropic.NewAssistantMessage(blocks...)
	}
	return anthropic.NewUserMessage(blocks...)
}

func (messages) turn(m anthropic.Message) (t assistant.Turn) {
	for _, b := range m.Content {
		switch b.Type {
		case "text":
			t.Text += b.Text
		case "tool_use":
			t.Calls = append(t.Calls, assistant.Call{ID: b.ID, Name: b.Name, Args: object(string(b.Input))})
		}
	}
	u := m.Usage
	t.Used = assistant.Usage{In: u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens, Out: u.OutputTokens, Cached: u.CacheReadInputTokens}
	t.Cut = m.StopReason == anthropic.StopReasonMaxTokens
	return t
}
