// Package llm is what tokens per second need: a runtime that loads a language
// model on a device, and generations that are timed token by token. The runtimes
// are packages below it; whoever calls them brings them together.
//
// Prompts and generations are two different loads, the first bound by arithmetic
// and the second by memory, so they are two figures and never added up. The time to
// the first token, the latency that a user sees, is a third.
package llm

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// A Runtime runs language models: llama.cpp, MLX or Ollama. Its errors carry a
// fault.Code, as an Engine's do.
type Runtime interface {
	// Name is what people choose it by: model.LlamaCpp, model.MLX, model.Torch or
	// model.Ollama.
	Name() string
	// Load brings a model into memory on the device that the settings ask for and
	// returns when it can answer. The session outlives ctx, which ends with the call.
	Load(ctx context.Context, model string, s Settings) (Session, error)
}

// Settings say where a model runs: how many of its layers on the GPU, and with how
// many CPU threads.
type Settings struct {
	Layers  int `json:"layers"`  // on the GPU: 0 none, and the GPU is not touched at all; at least the model's own number: all
	Threads int `json:"threads"` // CPU threads; 0: the runtime's own choice
	Context int `json:"context"` // tokens that prompt and generation may take together; 0: the runtime's own choice
}

// AllLayers is what people write for all of a model's layers: it is more than any of the
// models has that fit on one GPU.
const AllLayers = 99

// A Session is a model in memory. Its methods are called one at a time.
type Session interface {
	// Facts says what loading found out.
	Facts() Facts
	// Generate continues a prompt and gives each piece of text to each as it comes;
	// each must not block. It begins with nothing kept from a generation before.
	// What was generated before an error or the context's end is returned with it.
	Generate(ctx context.Context, r Request, each func(Piece)) (Generation, error)
	// Close frees the model and ends what runs for it; a second call does nothing.
	Close() error
}

// Facts are what a runtime knows of a model once it is loaded.
type Facts struct {
	Device  hardware.Device `json:"device,omitzero"`   // what computes: the GPU as soon as one layer is on it
	Host    string          `json:"host,omitempty"`    // the address of another machine that computes; empty: this one does
	Runtime string          `json:"runtime,omitempty"` // as its maker writes it, with its version: "llama.cpp b11434"
	Load    time.Duration   `json:"load_ns"`           // from starting the runtime to its being able to answer
	Layers  *int            `json:"layers,omitempty"`  // on the GPU, as the runtime reports it; nil when it does not
	Total   *int            `json:"total,omitempty"`   // layers that could be, the output layer included; nil when not known
	Memory  *int64          `json:"memory,omitempty"`  // bytes of weights, cache and buffers on the device; nil when not known
	Threads int             `json:"threads"`           // CPU threads that compute; 0 when not known
	DType   string          `json:"dtype,omitempty"`   // that is computed in: "float32"; empty where the model's weights say so
	Context int             `json:"context"`           // tokens that prompt and generation may take together; 0 when not known
	Notes   []string        `json:"notes,omitempty"`   // caveats of the figures
}

// Loaded says that a model is in memory, as it is told of.
type Loaded struct {
	Model    string   `json:"model"`    // its name, for people
	Settings Settings `json:"settings"` // as they were asked for; Facts says what became of them
	Facts
	About *About `json:"about,omitempty"` // nil where the runtime does not say
}

// EventType says that it is told of as a loaded model.
func (Loaded) EventType() event.Type { return event.TypeLoaded }

// A Request asks for a continuation. Decoding is greedy: there is no sampling, so that
// two lanes can be compared token by token.
type Request struct {
	Prompt     string
	Chat       bool // Prompt is what a person says: it goes into the model's chat template, if it has one
	Filler     int  // instead of a text: a prompt of this many random tokens, as llama-bench's pp; a runtime that takes only text makes one of about that length
	Tokens     int  // the most that are generated
	IgnoreEnd  bool // continue past the model's own end: a measurement wants its number of tokens
	Eager      bool // launch every kernel from Python, though the runtime can launch those of a token as one graph
	Candidates int  // how many of the most probable tokens to report at each position; it costs time, so a request with it is not timed
}

// About is what a framework knows of a model that it has loaded. Numbers that it
// does not know are 0.
type About struct {
	Parameters int64    `json:"parameters"`
	Bytes      int64    `json:"bytes"`      // of all weights in memory
	DType      string   `json:"dtype"`      // of most weights: "float32", "4 bit"
	Layers     int      `json:"layers"`     // blocks
	Hidden     int      `json:"hidden"`     // width of a block
	Vocabulary int      `json:"vocabulary"` // tokens that there are
	Heads      int      `json:"heads"`      // of attention, per layer
	Context    int      `json:"context"`    // tokens that prompt and generation may take together
	Chat       bool     `json:"chat"`       // has a chat template
	Threads    int      `json:"threads"`    // CPU threads that compute
	PeakOf     string   `json:"peak_of"`    // whose memory a peak is: "MLX", "PyTorch", "the process"
	Notes      []string `json:"notes"`
}

// Asked says that a model is asked something whose answer is shown, as it is told of.
type Asked struct {
	Prompt string `json:"prompt"`
	Chat   bool   `json:"chat"` // it goes into the model's chat template: the answer does not continue its text
}

// EventType says that a question is told of as a prompt.
func (Asked) EventType() event.Type { return event.TypePrompt }

// A Piece is a token's text as it came. A token may be part of a character: then
// the text comes with the token that completes it.
type Piece struct {
	Text string        `json:"text"`
	At   time.Duration `json:"at_ns"` // since the request was sent
}

// EventType says that a piece of an answer is told of as a token.
func (Piece) EventType() event.Type { return event.TypeToken }

// A Generation is one request's timing. The runtime's own durations leave out
// what is between it and us; First is by our clock, as a person waits.
type Generation struct {
	Text         string        `json:"text"`
	First        time.Duration `json:"first_ns"`        // from sending the request to the first token (TTFT)
	Wall         time.Duration `json:"wall_ns"`         // from sending the request to its end
	PromptTokens int           `json:"prompt_tokens"`   // that were computed, none of them from a cache
	PromptTime   time.Duration `json:"prompt_ns"`       // by the runtime's clock, until the first token is chosen
	Tokens       int           `json:"tokens"`          // that were generated
	TokenTime    time.Duration `json:"token_ns"`        // by the runtime's clock, from having the first token to having the last: Tokens-1 steps
	Finish       string        `json:"finish"`          // "length", "stop", or empty when it was cut off
	Graph        bool          `json:"graph,omitempty"` // the kernels of each token were launched as one CUDA graph
	Sequence     []Token       `json:"sequence,omitempty"`
	Peak         int64         `json:"peak_bytes,omitempty"` // the most memory that was taken until its end; 0 when not known
	PeakOf       string        `json:"peak_of,omitempty"`    // whose memory that is: "MLX", "PyTorch", "the process"
}

// A Token is one that was generated, and what else the model thought of.
type Token struct {
	ID         int         `json:"id"`
	Text       string      `json:"text"`
	Candidates []Candidate `json:"candidates,omitempty"` // most probable first; nil when not asked for
}

// A Candidate is a token with the natural logarithm of its probability.
type Candidate struct {
	ID      int      `json:"id"`
	Text    string   `json:"text"`
	LogProb *float64 `json:"logprob"` // nil where the runtime computed something that is no number
}

// PromptRate returns the prompt's tokens per second; ok is false when it has no time.
func (g Generation) PromptRate() (rate float64, ok bool) {
	return perSecond(g.PromptTokens, g.PromptTime)
}

// Rate returns the generated tokens per second; ok is false when there is no time.
// The first token is the prompt's work, so what is timed is one step less than
// there are tokens; counting all of them would show 8 tokens 14 % too fast.
func (g Generation) Rate() (rate float64, ok bool) { return perSecond(g.Tokens-1, g.TokenTime) }

func perSecond(tokens int, d time.Duration) (rate float64, ok bool) {
	if tokens < 1 || d <= 0 {
		return 0, false
	}
	return float64(tokens) / d.Seconds(), true
}
