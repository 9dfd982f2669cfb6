// Package ollama runs language models with an Ollama that is already running, by
// its HTTP interface: https://github.com/ollama/ollama/blob/main/docs/api.md. It
// starts and stops no server; it loads and unloads the model that it measures.
//
// Figures are the server's own durations. Its prompt_eval_count counts tokens that
// it took from its cache as if they had been computed (runner/ollamarunner/runner.go,
// numPromptInputs), so every generation here begins with a request that makes the
// cache useless for the next.
package ollama

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Runtime is an Ollama. It holds one model with one number of layers on the GPU
// at a time: lanes of the same model cannot take turns.
type Runtime struct {
	Host string // OLLAMA_HOST; empty: 127.0.0.1:11434
	CPU  string // the CPU's name
	GPU  string // the GPU's name, which Ollama does not say; empty: not known
}

// Name returns "ollama".
func (r *Runtime) Name() string { return "ollama" }

// port is where Ollama listens by default.
const port = "11434"

// base is the server's address, from what OLLAMA_HOST may be: a host, with a port
// or without, with a scheme or without (envconfig.Host).
func base(host string) (*url.URL, error) {
	host = strings.TrimSpace(host)
	scheme, rest, ok := strings.Cut(host, "://")
	if !ok {
		scheme, rest = "http", host
	}
	rest, path, _ := strings.Cut(rest, "/")
	name, number, err := net.SplitHostPort(rest)
	if err != nil {
		name, number = strings.Trim(rest, "[]"), map[string]string{"http": port, "https": "443"}[scheme]
		if ok && scheme == "http" {
			number = "80"
		}
	}
	if name == "" || name == "0.0.0.0" || name == "::" { // what a server listens on
		name = "127.0.0.1"
	}
	u, err := url.Parse(scheme + "://" + net.JoinHostPort(name, number))
	if err != nil || scheme != "http" && scheme != "https" {
		return nil, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("OLLAMA_HOST %s is no address", host), Remedies: fault.Advice("for example OLLAMA_HOST=127.0.0.1:11434")}
	}
	if path != "" {
		u.Path = "/" + path
	}
	return u, nil
}

// Remote returns the address of an Ollama that runs on another machine, as far as its
// own address tells; empty: it runs on this one.
func (r *Runtime) Remote(ctx context.Context) string {
	u, err := base(r.Host)
	if err != nil || host.Here(ctx, u.Hostname()) {
		return ""
	}
	return u.Host
}

// session is a model that is loaded.
type session struct {
	url    *url.URL
	model  string
	facts  llm.Facts
	lane   llm.Settings
	random *rand.Rand
	closed bool
}

// options are those of a model and of a request. The first three are the model's:
// Ollama loads it anew when they change, so all requests of a session have the same.
type options struct {
	GPU     *int `json:"num_gpu,omitempty"` // layers; nil: what Ollama thinks right
	Threads int  `json:"num_thread,omitempty"`
	Context int  `json:"num_ctx,omitempty"`

	Tokens      int     `json:"num_predict,omitempty"`
	Temperature float64 `json:"temperature"`
	TopK        int     `json:"top_k"`
	Seed        int     `json:"seed"`
	Repeat      float64 `json:"repeat_penalty"` // 1: none
}

func (s *session) options(tokens int) options {
	o := options{Threads: s.lane.Threads, Context: s.lane.Context, Tokens: tokens, TopK: 1, Seed: 1, Repeat: 1}
	if s.lane.Layers < llm.AllLayers {
		o.GPU = &s.lane.Layers
	}
	return o
}

// request is what /api/generate is asked.
type request struct {
	Model       string  `json:"model"`
	Prompt      string  `json:"prompt,omitempty"`
	Raw         bool    `json:"raw,omitempty"` // no template
	Stream      bool    `json:"stream"`
	Truncate    *bool   `json:"truncate,omitempty"` // a prompt that is too long is an error, not cut
	Shift       *bool   `json:"shift,omitempty"`    // likewise the text
	KeepAlive   any     `json:"keep_alive,omitempty"`
	Options     options `json:"options"`
	LogProbs    bool    `json:"logprobs,omitempty"`
	TopLogProbs int     `json:"top_logprobs,omitempty"`
}

// answer is a line of its answer. Durations are in nanoseconds.
type answer struct {
	Response       string        `json:"response"`
	Thinking       string        `json:"thinking"`
	Done           bool          `json:"done"`
	Reason         string        `json:"done_reason"`
	PromptTokens   int           `json:"prompt_eval_count"`
	PromptDuration time.Duration `json:"prompt_eval_duration"`
	Tokens         int           `json:"eval_count"`
	Duration       time.Duration `json:"eval_duration"`
	LogProbs       []logprob     `json:"logprobs"`
	Error          string        `json:"error"`
}

type logprob struct {
	Token   string    `json:"token"`
	LogProb *float64  `json:"logprob"`
	Top     []logprob `json:"top_logprobs"`
}

// running is a model of /api/ps.
type running struct {
	Name    string `json:"name"`
	Size    int64  `json:"size"`      // bytes in memory
	VRAM    int64  `json:"size_vram"` // of them in a GPU's
	Context int    `json:"context_length"`
}

// listed is a model of /api/tags.
type listed struct {
	Name    string `json:"name"`
	Size    int64  `json:"size"`        // bytes
	Remote  string `json:"remote_host"` // where it runs instead of here
	Details struct {
		Family       string `json:"family"`
		Quantization string `json:"quantization_level"`
	} `json:"details"`
}

// Load has Ollama load a model with the lane's layers on the GPU and looks where
// it really is. A model that is loaded already is unloaded first, so that the
// time is that of loading. Load's error when nothing answers is fault.Unavailable.
func (r *Runtime) Load(ctx context.Context, model string, l llm.Settings) (llm.Session, error) {
	u, err := base(r.Host)
	if err != nil {
		return nil, err
	}
	s := &session{url: u, model: model, lane: l, random: rand.New(rand.NewPCG(1, 1))}
	var version struct {
		Version string `json:"version"`
	}
	if err := s.get(ctx, "/api/version", &version); err != nil {
		return nil, err
	}
	s.facts = llm.Facts{Host: r.Remote(ctx), Runtime: "Ollama " + version.Version, Threads: l.Threads, Context: l.Context}
	m, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	s.model = m.Name
	if err := s.unload(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := s.ask(ctx, request{Model: model, KeepAlive: "30m", Options: s.options(1)}, nil); err != nil {
		return nil, err
	}
	s.facts.Load = time.Since(began)
	if err := s.place(ctx, r); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Find returns the model that a word names, "" for the first that runs where Ollama
// runs, as far as Ollama says what it is.
func (r *Runtime) Find(ctx context.Context, word string) (model.Model, error) {
	u, err := base(r.Host)
	if err != nil {
		return model.Model{}, err
	}
	m, err := (&session{url: u, model: word}).find(ctx)
	return model.Model{
		Ref: m.Name, Name: m.Name, Path: m.Name, Place: "Ollama", Format: model.GGUF, Bytes: m.Size,
		Architecture: m.Details.Family, Quantization: m.Details.Quantization,
		Chat:     true, // Ollama has a template for each model, if only one that is the prompt alone
		Runtimes: []string{model.Ollama},
	}, err
}

// find returns the session's model as Ollama lists it.
func (s *session) find(ctx context.Context) (listed, error) {
	var tags struct {
		Models []listed `json:"models"`
	}
	if err := s.get(ctx, "/api/tags", &tags); err != nil {
		return listed{}, err
	}
	var names []string
	for _, m := range tags.Models {
		if m.Name = plain.Line(m.Name); s.model == "" && m.Remote == "" || s.model != "" && (m.Name == s.model || m.Name == s.model+":latest") {
			if m.Remote != "" {
				return m, fault.Errorf(fault.Unsupported, "%s runs at %s, not on this machine", s.model, plain.Line(m.Remote)).
					With(fault.Run("choose a model that was pulled: {} shows them with their size", "ollama", "list"))
			}
			return m, nil
		}
		names = append(names, m.Name)
	}
	if s.model == "" {
		return listed{}, fault.Errorf(fault.Unavailable, "Ollama has no model").With(pull(small))
	}
	e := fault.Errorf(fault.Unavailable, "Ollama has no model %s", s.model).With(pull(s.model))
	if len(names) > 0 {
		e = e.With(fault.Advice("it has " + strings.Join(names[:min(len(names), 8)], ", "))...)
	}
	return listed{}, e
}

// pull is the remedy for a model that Ollama does not have.
func pull(name string) fault.Remedy { return fault.Run("", "ollama", "pull", name) }

// small is a model that can be talked to, of 400 MB.
const small = "qwen2.5:0.5b"

// place finds out what Ollama made of the lane: whatever was asked for, it uses
// the CPU silently when it finds no GPU, or too little memory on it.
func (s *session) place(ctx context.Context, r *Runtime) error {
	m, err := s.loaded(ctx)
	if err != nil {
		return err
	}
	if m == nil {
		return &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("Ollama has loaded %s and does not list it", s.model), Remedies: fault.Advice("does another program use this Ollama?")}
	}
	f := &s.facts
	f.Context = m.Context
	f.Device = hardware.Device{ID: "cpu", Name: r.CPU, Kind: hardware.CPU, API: "cpu", Library: "Ollama", Version: strings.TrimPrefix(f.Runtime, "Ollama ")}
	f.Memory = &m.Size
	if m.VRAM > 0 {
		f.Device.ID, f.Device.Name, f.Device.Kind, f.Device.API = "gpu", r.GPU, hardware.GPU, "gpu"
		if r.GPU == "" {
			f.Device.Name = "the GPU that Ollama uses"
		}
		f.Memory = &m.VRAM
	}
	if f.Host != "" { // where neither this machine's CPU nor its GPU computes
		f.Device.Name = map[hardware.Kind]string{hardware.CPU: "a CPU", hardware.GPU: "a GPU"}[f.Device.Kind] + " at " + f.Host
		f.Notes = append(f.Notes, "not this machine: Ollama runs at "+f.Host)
	}
	switch {
	case s.lane.Layers == 0 && m.VRAM > 0:
		f.Notes = append(f.Notes, fmt.Sprintf("not on the CPU alone: Ollama put %s on the GPU", unit.Bytes(float64(m.VRAM))))
	case s.lane.Layers > 0 && m.VRAM == 0:
		f.Notes = append(f.Notes, "not on the GPU: Ollama put no byte of the model there (size_vram 0)")
	case s.lane.Layers >= llm.AllLayers && m.VRAM < m.Size:
		f.Notes = append(f.Notes, fmt.Sprintf("%s of the model is on the GPU, the rest on the CPU", strings.ReplaceAll(unit.Percent(float64(m.VRAM)/float64(m.Size)), " ", "")))
	}
	return nil
}

// loaded returns the model as /api/ps has it, nil when it is not loaded.
func (s *session) loaded(ctx context.Context) (*running, error) {
	var ps struct {
		Models []running `json:"models"`
	}
	if err := s.get(ctx, "/api/ps", &ps); err != nil {
		return nil, err
	}
	for _, m := range ps.Models {
		if m.Name == s.model {
			return &m, nil
		}
	}
	return nil, nil
}

// unload has Ollama forget the model and waits until it has: memory that it still
// holds would send the next one to the CPU.
func (s *session) unload(ctx context.Context) error {
	m, err := s.loaded(ctx)
	if m == nil || err != nil {
		return err
	}
	if _, err := s.ask(ctx, request{Model: s.model, KeepAlive: 0}, nil); err != nil {
		return err
	}
	for {
		if m, err := s.loaded(ctx); m == nil || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *session) Facts() llm.Facts { return s.facts }

// closeLimit is how long unloading may take.
const closeLimit = 10 * time.Second

// Close unloads the model.
func (s *session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	return s.unload(ctx)
}

// Generate sends a prompt and reads the answer as it is made.
func (s *session) Generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (g llm.Generation, err error) {
	for {
		g, err = s.generate(ctx, r, each)
		if r.Filler < 2 || !errors.Is(err, fault.Invalid) {
			return g, err
		}
		r.Filler /= 2 // a vocabulary of parts of words makes more tokens of them than the context has
	}
}

func (s *session) generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (g llm.Generation, err error) {
	// One token of another text, so that nothing of the last prompt is reused.
	if _, err := s.ask(ctx, request{Model: s.model, Prompt: llm.Words(s.random, 2), Raw: true, KeepAlive: "30m", Options: s.options(1)}, nil); err != nil {
		return g, err
	}
	no := false
	q := request{Model: s.model, Prompt: r.Prompt, Raw: !r.Chat, Stream: true, Truncate: &no, Shift: &no, KeepAlive: "30m", Options: s.options(r.Tokens), LogProbs: r.Candidates > 0, TopLogProbs: min(r.Candidates, 20)}
	if r.Filler > 0 {
		q.Prompt, q.Raw = llm.Words(s.random, r.Filler), true
	}
	sent := time.Now()
	last, err := s.ask(ctx, q, func(a answer) {
		at := time.Since(sent)
		if g.First == 0 {
			g.First = at
		}
		for _, t := range a.LogProbs {
			g.Sequence = append(g.Sequence, t.token())
		}
		if text := a.Thinking + a.Response; text != "" {
			g.Text += text
			g.Tokens++ // as far as is known before the end
			if each != nil {
				each(llm.Piece{Text: text, At: at})
			}
		}
	})
	g.Wall = time.Since(sent)
	if err != nil {
		return g, err
	}
	g.PromptTokens, g.PromptTime = last.PromptTokens, last.PromptDuration
	g.Tokens, g.TokenTime, g.Finish = last.Tokens, last.Duration, last.Reason
	return g, nil
}

// token makes numbers of a token's text: Ollama does not give the model's own.
func (l logprob) token() llm.Token {
	t := llm.Token{ID: number(l.Token), Text: l.Token}
	for _, c := range l.Top {
		t.Candidates = append(t.Candidates, llm.Candidate{ID: number(c.Token), Text: c.Token, LogProb: c.LogProb})
	}
	return t
}

func number(text string) int {
	h := fnv.New32a()
	io.WriteString(h, text)
	return int(h.Sum32() >> 1) // a 32-bit int holds it
}
