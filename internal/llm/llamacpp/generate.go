package llamacpp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/plain"
)

// completion is a request to /completion.
type completion struct {
	Prompt      any     `json:"prompt"` // text, or token numbers
	Tokens      int     `json:"n_predict"`
	Temperature float64 `json:"temperature"` // 0: greedy
	TopK        int     `json:"top_k"`       // 1: the same, without sorting a quarter of a million candidates
	Seed        int     `json:"seed"`
	CachePrompt bool    `json:"cache_prompt"` // false: every prompt is computed
	IgnoreEnd   bool    `json:"ignore_eos"`
	Stream      bool    `json:"stream"`
	ReturnIDs   bool    `json:"return_tokens"`
	Candidates  int     `json:"n_probs"`
}

// event is what the server streams: a token, or the end with its timings, or an
// error.
type event struct {
	Content   string `json:"content"`
	Tokens    []int  `json:"tokens"`
	Stop      bool   `json:"stop"`
	StopType  string `json:"stop_type"`
	Truncated bool   `json:"truncated"`
	Timings   *struct {
		Cached      int     `json:"cache_n"`
		PromptN     int     `json:"prompt_n"`
		PromptMS    float64 `json:"prompt_ms"`
		PredictedN  int     `json:"predicted_n"`
		PredictedMS float64 `json:"predicted_ms"`
	} `json:"timings"`
	Probabilities []struct {
		ID    int        `json:"id"`
		Token string     `json:"token"`
		Top   []topToken `json:"top_logprobs"`
	} `json:"completion_probabilities"`
	Error *serverError `json:"error"`
}

type topToken struct {
	ID      int      `json:"id"`
	Token   string   `json:"token"`
	LogProb *float64 `json:"logprob"` // null for what is no number
}

// serverError is how llama-server reports an error.
type serverError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Prompt  int    `json:"n_prompt_tokens"` // with exceed_context_size_error
	Context int    `json:"n_ctx"`
}

// Generate sends a completion and reads its stream.
func (s *server) Generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (g llm.Generation, err error) {
	body, err := s.body(ctx, r)
	if err != nil {
		return g, err
	}
	defer s.settle(ctx)
	// The request ends with ctx, and the server stops when its client has gone.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/completion", bytes.NewReader(body))
	if err != nil {
		return g, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.key)
	sent := time.Now()
	resp, err := s.client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return g, s.refused(resp)
		}
		err = s.stream(resp.Body, sent, &g, r.Candidates > 0, each)
	}
	g.Wall = time.Since(sent)
	var known *fault.Error
	switch {
	case err == nil:
		return g, nil
	case ctx.Err() != nil:
		return g, ctx.Err()
	case errors.As(err, &known):
		return g, err
	}
	if dead := s.died("generating"); dead != nil {
		return g, dead
	}
	return g, &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("llama-server's answer broke off: %v", err)}
}

func (s *server) body(ctx context.Context, r llm.Request) ([]byte, error) {
	c := completion{Prompt: r.Prompt, Tokens: r.Tokens, TopK: 1, Seed: 1, IgnoreEnd: r.IgnoreEnd, Stream: true, ReturnIDs: r.Candidates > 0, Candidates: r.Candidates}
	switch {
	case r.Filler > 0:
		c.Prompt = filler(r.Filler, s.vocab)
	case r.Chat && !s.plain:
		prompt, err := s.template(ctx, r.Prompt)
		if err != nil {
			return nil, err
		}
		c.Prompt = prompt
	}
	return json.Marshal(c)
}

// filler returns n token numbers, the same ones every time. What they mean does
// not matter for the time that a prompt takes, but equal ones could send all to
// the same experts of a model that has some.
func filler(n, vocab int) []int {
	if vocab == 0 { // not known; few models have less
		vocab = 1000
	}
	random := rand.New(rand.NewPCG(1, 1))
	ids := make([]int, n)
	for i := range ids {
		ids[i] = random.IntN(vocab)
	}
	return ids
}

// template puts what a person says into the model's chat template.
func (s *server) template(ctx context.Context, text string) (string, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body, err := json.Marshal(map[string]any{"messages": []message{{"user", text}}})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/apply-template", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.key)
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", s.refused(resp)
	}
	var out struct{ Prompt string }
	return out.Prompt, json.NewDecoder(resp.Body).Decode(&out)
}

// refused turns an answer that is no success into an error.
func (s *server) refused(resp *http.Response) error {
	var e struct{ Error serverError }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(text, &e) != nil || e.Error.Message == "" {
		e.Error.Message = fmt.Sprintf("answered with HTTP status %d", resp.StatusCode)
	}
	return e.Error.error(s.most)
}

// error returns what the server says as an error; most is how many tokens of context the
// model was made for, 0 if that is not known.
func (e serverError) error(most int) error {
	if e.Type == "exceed_context_size_error" {
		err := fault.Errorf(fault.Invalid, "the prompt has %d tokens, the context %d", e.Prompt, e.Context)
		if most > 0 && e.Prompt >= most {
			return err.With(fault.Change("prompt", fmt.Sprintf("the model was made for %d tokens: a shorter {}", most)))
		}
		return err.With(fault.Set("ctx", (e.Prompt+512+255)/256*256, "a larger context"))
	}
	return &fault.Error{Code: fault.Internal, Message: "llama-server: " + plain.Line(e.Message)}
}

// stream reads server-sent events (one JSON object in each data line) until the
// one that ends the generation.
func (s *server) stream(in io.Reader, sent time.Time, g *llm.Generation, sequence bool, each func(llm.Piece)) error {
	var text strings.Builder
	defer func() { g.Text = text.String() }()
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		at := time.Since(sent)
		if data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:")); ok {
			var e event
			if json.Unmarshal(data, &e) != nil {
				return &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("llama-server's stream is not understood: “%s”", clip(plain.Line(string(data))))}
			}
			if e.Error != nil {
				return e.Error.error(s.most)
			}
			if g.Tokens == 0 && g.First == 0 {
				g.First = at
			}
			text.WriteString(e.Content)
			if e.Content != "" && each != nil {
				each(llm.Piece{Text: e.Content, At: at})
			}
			if sequence {
				g.Sequence = append(g.Sequence, e.sequence()...)
			}
			if e.Stop {
				return e.finish(g)
			}
			g.Tokens++ // until the end tells
		}
		if err != nil {
			return fmt.Errorf("before its end: %w", err)
		}
	}
}

// sequence returns an event's tokens with their candidates.
func (e event) sequence() []llm.Token {
	var list []llm.Token
	for _, p := range e.Probabilities {
		t := llm.Token{ID: p.ID, Text: p.Token}
		for _, c := range p.Top {
			t.Candidates = append(t.Candidates, llm.Candidate{ID: c.ID, Text: c.Token, LogProb: c.LogProb})
		}
		list = append(list, t)
	}
	return list
}

// finish takes over the server's own counts and times.
func (e event) finish(g *llm.Generation) error {
	t := e.Timings
	if t == nil || t.PromptMS < 0 || t.PredictedMS < 0 {
		return fault.Errorf(fault.Internal, "llama-server ended the stream without its timings").With(setup("a newer llama.cpp"))
	}
	if t.Cached > 0 {
		return &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("llama-server took %d tokens of the prompt from its cache, which was forbidden", t.Cached)}
	}
	ms := func(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }
	g.PromptTokens, g.PromptTime = t.PromptN, ms(t.PromptMS)
	g.Tokens, g.TokenTime = t.PredictedN, ms(t.PredictedMS)
	g.Finish = "stop"
	if e.StopType == "limit" {
		g.Finish = "length"
	}
	return nil
}
