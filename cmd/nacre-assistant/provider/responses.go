package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"nacre/assistant"
)

// response is OpenAI's own interface. The conversation goes along with each
// request; nothing is left with the provider.
type response struct {
	service responses.ResponseService
	model   string
}

func newResponses(model string) (assistant.Provider, error) {
	options := append(openai.DefaultClientOptions(), option.WithMaxRetries(retries))
	return response{responses.NewResponseService(options...), model}, nil
}

// Next streams one answer.
func (r response) Next(ctx context.Context, q assistant.Request, hear func(string)) (assistant.Turn, error) {
	params, err := r.request(q)
	if err != nil {
		return assistant.Turn{}, err
	}
	stream := r.service.NewStreaming(ctx, params)
	defer stream.Close()
	for stream.Next() {
		switch e := stream.Current(); e.Type {
		case "response.output_text.delta":
			hear(e.Delta)
		case "response.completed", "response.incomplete":
			return r.turn(e.Response), nil
		case "response.failed":
			return assistant.Turn{}, fmt.Errorf("%s: %s", e.Response.Error.Code, e.Response.Error.Message)
		case "error":
			return assistant.Turn{}, fmt.Errorf("%s: %s", e.Code, e.Message)
		}
	}
	if err := stream.Err(); err != nil {
		return assistant.Turn{}, err
	}
	return assistant.Turn{}, errors.New("the stream ended before the answer did")
}

func (r response) request(q assistant.Request) (responses.ResponseNewParams, error) {
	var items responses.ResponseInputParam
	for _, m := range q.Messages {
		items = append(items, r.items(m)...)
	}
	p := responses.ResponseNewParams{Model: r.model, Instructions: openai.String(q.System), Store: openai.Bool(false),
		Input: responses.ResponseNewParamsInputUnion{OfInputItemList: items}}
	if q.Most > 0 {
		p.MaxOutputTokens = openai.Int(int64(q.Most))
	}
	for _, t := range q.Tools {
		s, err := schema(t)
		if err != nil {
			return p, err
		}
		p.Tools = append(p.Tools, responses.ToolUnionParam{OfFunction: &responses.FunctionToolParam{Name: t.Name, Description: openai.String(t.About),
			Parameters: s, Strict: openai.Bool(false)}})
	}
	return p, nil
}

func (response) items(m assistant.Message) (list []responses.ResponseInputItemUnionParam) {
	for _, r := range m.Results {
		list = append(list, responses.ResponseInputItemUnionParam{OfFunctionCallOutput: &responses.ResponseInputItemFunctionCallOutputParam{CallID: openai.String(r.ID),
			Output: responses.ResponseInputItemFunctionCallOutputOutputUnionParam{OfString: openai.String(told(r))}}})
	}
	if m.Text != "" {
		role := responses.EasyInputMessageRoleUser
		if m.Model {
			role = responses.EasyInputMessageRoleAssistant
		}
		list = append(list, responses.ResponseInputItemParamOfMessage(m.Text, role))
	}
	for _, c := range m.Calls {
		list = append(list, responses.ResponseInputItemParamOfFunctionCall(string(c.Args), c.ID, c.Name))
	}
	return list
}

func (response) turn(r responses.Response) (t assistant.Turn) {
	for _, item := range r.Output {
		switch item.Type {
		case "message":
			for _, part := range item.Content {
				t.Text += part.Text
			}
		case "function_call":
			t.Calls = append(t.Calls, assistant.Call{ID: item.CallID, Name: item.Name, Args: object(item.Arguments.OfString)})
		}
	}
	t.Used = assistant.Usage{In: r.Usage.InputTokens, Out: r.Usage.OutputTokens, Cached: r.Usage.InputTokensDetails.CachedTokens}
	t.Cut = r.Status == responses.ResponseStatusIncomplete
	return t
}
