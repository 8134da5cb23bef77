package provider

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/genai"

	"nacre/assistant"
)

// gemini is Google's interface.
type gemini struct {
	client *genai.Client
	model  string
}

func newGemini(model string) (assistant.Provider, error) {
	attempts := int32(retries + 1)
	client, err := genai.NewClient(context.Background(), &genai.ClientConfig{Backend: genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{RetryOptions: &genai.HTTPRetryOptions{Attempts: &attempts}}})
	return gemini{client, model}, err
}

// Next streams one answer.
func (g gemini) Next(ctx context.Context, r assistant.Request, hear func(string)) (assistant.Turn, error) {
	config := &genai.GenerateContentConfig{SystemInstruction: genai.NewContentFromText(r.System, genai.RoleUser), MaxOutputTokens: int32(r.Most)}
	if len(r.Tools) > 0 {
		var all genai.Tool
		for _, t := range r.Tools {
			all.FunctionDeclarations = append(all.FunctionDeclarations, &genai.FunctionDeclaration{Name: t.Name, Description: t.About, ParametersJsonSchema: t.Schema})
		}
		config.Tools = []*genai.Tool{&all}
	}
	var contents []*genai.Content
	for _, m := range r.Messages {
		c, err := g.content(m)
		if err != nil {
			return assistant.Turn{}, err
		}
		contents = append(contents, c)
	}
	var t assistant.Turn
	for piece, err := range g.client.Models.GenerateContentStream(ctx, g.model, contents, config) {
		if err != nil {
			return assistant.Turn{}, err
		}
		g.add(&t, piece, len(r.Messages), hear)
	}
	return t, nil
}

func (gemini) content(m assistant.Message) (*genai.Content, error) {
	c := &genai.Content{Role: genai.RoleUser}
	if m.Model {
		c.Role = genai.RoleModel
	}
	for _, r := range m.Results {
		key := "output"
		if r.Failed {
			key = "error"
		}
		c.Parts = append(c.Parts, genai.NewPartFromFunctionResponse(r.Name, map[string]any{key: r.Text}))
	}
	if m.Text != "" {
		c.Parts = append(c.Parts, genai.NewPartFromText(m.Text))
	}
	for _, call := range m.Calls {
		var args map[string]any
		if err := json.Unmarshal(call.Args, &args); err != nil {
			return nil, fmt.Errorf("the arguments of %s: %w", call.Name, err)
		}
		p := genai.NewPartFromFunctionCall(call.Name, args)
		p.ThoughtSignature = call.Seal
		c.Parts = append(c.Parts, p)
	}
	return c, nil
}

// add takes a piece of a stream into the answer. Calls have no names of their own
// here, so they get some that nothing else in the conversation has.
func (gemini) add(t *assistant.Turn, piece *genai.GenerateContentResponse, said int, hear func(string)) {
	if len(piece.Candidates) > 0 && piece.Candidates[0].Content != nil {
		for _, p := range piece.Candidates[0].Content.Parts {
			switch {
			case p.FunctionCall != nil:
				args, _ := json.Marshal(p.FunctionCall.Args) // it was JSON
				t.Calls = append(t.Calls, assistant.Call{ID: fmt.Sprintf("call-%d-%d", said, len(t.Calls)), Name: p.FunctionCall.Name, Args: object(string(args)), Seal: p.ThoughtSignature})
			case p.Text != "" && !p.Thought:
				t.Text += p.Text
				hear(p.Text)
			}
		}
		t.Cut = t.Cut || piece.Candidates[0].FinishReason == genai.FinishReasonMaxTokens
	}
	if u := piece.UsageMetadata; u != nil {
		t.Used = assistant.Usage{In: int64(u.PromptTokenCount), Out: int64(u.CandidatesTokenCount + u.ThoughtsTokenCount), Cached: int64(u.CachedContentTokenCount)}
	}
}
