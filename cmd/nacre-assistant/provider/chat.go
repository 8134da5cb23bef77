package provider

import (
	"context"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"nacre/assistant"
)

// chat is OpenAI's older interface, and that of models on one's own machine.
type chat struct {
	service openai.ChatCompletionService
	model   string
}

func newChat(model string) (assistant.Provider, error) {
	options := append(openai.DefaultClientOptions(), option.WithMaxRetries(retries))
	return chat{openai.NewChatCompletionService(options...), model}, nil
}

// Next streams one answer.
func (c chat) Next(ctx context.Context, r assistant.Request, hear func(string)) (assistant.Turn, error) {
	q, err := c.request(r)
	if err != nil {
		return assistant.Turn{}, err
	}
	var whole openai.ChatCompletionAccumulator
	stream := c.service.NewStreaming(ctx, q)
	defer stream.Close()
	for stream.Next() {
		piece := stream.Current()
		whole.AddChunk(piece)
		if len(piece.Choices) > 0 && piece.Choices[0].Delta.Content != "" {
			hear(piece.Choices[0].Delta.Content)
		}
	}
	if err := stream.Err(); err != nil {
		return assistant.Turn{}, err
	}
	return c.turn(whole.ChatCompletion), nil
}

func (c chat) request(r assistant.Request) (openai.ChatCompletionNewParams, error) {
	q := openai.ChatCompletionNewParams{Model: c.model, Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(r.System)},
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}}
	if r.Most > 0 {
		q.MaxCompletionTokens = openai.Int(int64(r.Most))
	}
	for _, t := range r.Tools {
		s, err := schema(t)
		if err != nil {
			return q, err
		}
		q.Tools = append(q.Tools, openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: t.Name, Description: openai.String(t.About), Parameters: s}))
	}
	for _, m := range r.Messages {
		q.Messages = append(q.Messages, c.messages(m)...)
	}
	return q, nil
}

func (chat) messages(m assistant.Message) (list []openai.ChatCompletionMessageParamUnion) {
	for _, r := range m.Results {
		list = append(list, openai.ToolMessage(told(r), r.ID))
	}
	switch {
	case m.Model:
		var said openai.ChatCompletionAssistantMessageParam
		if m.Text != "" {
			said.Content.OfString = openai.String(m.Text)
		}
		for _, c := range m.Calls {
			said.ToolCalls = append(said.ToolCalls, openai.ChatCompletionMessageToolCallUnionParam{OfFunction: &openai.ChatCompletionMessageFunctionToolCallParam{
				ID: c.ID, Function: openai.ChatCompletionMessageFunctionToolCallFunctionParam{Name: c.Name, Arguments: string(c.Args)}}})
		}
		list = append(list, openai.ChatCompletionMessageParamUnion{OfAssistant: &said})
	case m.Text != "":
		list = append(list, openai.UserMessage(m.Text))
	}
	return list
}

func (chat) turn(whole openai.ChatCompletion) (t assistant.Turn) {
	if len(whole.Choices) > 0 {
		first := whole.Choices[0]
		t.Text, t.Cut = first.Message.Content, first.FinishReason == "length"
		for _, c := range first.Message.ToolCalls {
			t.Calls = append(t.Calls, assistant.Call{ID: c.ID, Name: c.Function.Name, Args: object(c.Function.Arguments)})
		}
	}
	u := whole.Usage
	t.Used = assistant.Usage{In: u.PromptTokens, Out: u.CompletionTokens, Cached: u.PromptTokensDetails.CachedTokens}
	return t
}
