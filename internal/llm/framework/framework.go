// Package framework runs language models in the Python frameworks that a user has:
// mlx-lm on MLX, transformers on PyTorch. The model is a folder as Hugging Face has
// it. A Runtime is an llm.Runtime for whoever compares tokens per second; its Models
// can also be fine-tuned, which package lora does.
//
// A framework computes all layers on one device: there is no part of a model on the
// GPU, and nothing moves to the CPU unasked.
package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// Names of the runtimes, which are also their workers'.
const (
	MLX          = "mlx_lm"
	Transformers = "transformers"
)

// A Runtime loads models into workers of its own, one each.
type Runtime struct {
	// Runtime is MLX or Transformers.
	Runtime string
	// Client makes the parent's end of a worker that computes with so many CPU
	// threads, 0 for the framework's own choice.
	Client func(ctx context.Context, threads int) (*worker.Client, error)
}

var _ llm.Runtime = (*Runtime)(nil)

// Name is what --runtime calls it: mlx or torch.
func (r *Runtime) Name() string {
	if r.Runtime == MLX {
		return "mlx"
	}
	return "torch"
}

// Load loads the model in a folder onto the CPU when l has no layers, else onto the
// first GPU; one that is not there is an error that says why.
func (r *Runtime) Load(ctx context.Context, model string, l llm.Lane) (llm.Session, error) {
	device := hardware.CPU
	if l.Layers > 0 {
		device = hardware.GPU
	}
	m, err := r.Open(ctx, model, Options{Device: string(device), Threads: l.Threads})
	if err != nil {
		return nil, err
	}
	if total := m.About.Layers; l.Layers > 0 && l.Layers < total {
		m.facts.Notes = append(m.facts.Notes, fmt.Sprintf("%s has no split between devices: all %d layers are on the GPU", m.library(), total))
	}
	return m, nil
}

// Options say how a model is loaded.
type Options struct {
	Device  string // cpu, gpu, an interface such as cuda or mps, or a device's id; "": the GPU if there is one
	Threads int    // CPU threads; 0: the framework's own choice
	Adapter string // the folder of an adapter to load with it, "" for none
	Bits    int    // cut the weights to so many bits; 0: leave them as they are
}

// Open starts a worker and loads the model in a folder.
func (r *Runtime) Open(ctx context.Context, folder string, o Options) (*Model, error) {
	start := time.Now()
	c, err := r.Client(ctx, o.Threads)
	if err != nil {
		return nil, err
	}
	link, err := c.Dial(ctx)
	if err != nil {
		c.Close()
		return nil, err
	}
	m := &Model{link: link}
	if m.device, err = pick(link.Inventory(), r.Name(), o.Device); err == nil {
		_, err = link.Call(ctx, "load", loadArgs{m.device.ID, folder, o.Adapter, o.Bits}, &m.About, nil, 0)
	}
	if err != nil {
		link.Close()
		return nil, err
	}
	m.facts = llm.Facts{
		Device:  m.device,
		Runtime: m.library() + " " + m.version(),
		Load:    time.Since(start),
		Memory:  &m.About.Bytes,
		Threads: m.About.Threads,
		Context: m.About.Context,
		Notes:   m.About.Notes,
	}
	if m.About.Layers > 0 {
		on, total := 0, m.About.Layers+1 // the output layer is one more
		if m.device.Kind == hardware.GPU {
			on = total
		}
		m.facts.Layers, m.facts.Total = &on, &total
	}
	return m, nil
}

// pick returns the device that was asked for, never another.
func pick(found hardware.Inventory, name, want string) (hardware.Device, error) {
	if i := slices.IndexFunc(found.Devices, func(d hardware.Device) bool { return d.Kind == hardware.GPU }); want == "" && len(found.Devices) > 0 {
		return found.Devices[max(i, 0)], nil // the first is the CPU
	}
	var there []string
	for _, d := range found.Devices {
		if want == string(d.Kind) || want == d.API || want == d.ID {
			return d, nil
		}
		there = append(there, d.API)
	}
	for _, m := range found.Missing {
		if m.API == want || want == string(hardware.GPU) {
			return hardware.Device{}, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s has no device %s: %s", name, want, m.Reason), Remedies: m.Remedies}
		}
	}
	return hardware.Device{}, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s has no device %q", name, want), Remedies: fault.Advice("there are: " + strings.Join(there, ", "))}
}

type loadArgs struct {
	Device  string `json:"device"`
	Model   string `json:"model"`
	Adapter string `json:"adapter,omitempty"`
	Bits    int    `json:"bits,omitempty"`
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
	Heads      int      `json:"heads"`      // of attention, a layer
	Context    int      `json:"context"`    // tokens that prompt and generation may take together
	Chat       bool     `json:"chat"`       // has a chat template
	Threads    int      `json:"threads"`    // CPU threads that compute
	PeakOf     string   `json:"peak_of"`    // whose memory a peak is: "MLX", "PyTorch", "the process"
	Notes      []string `json:"notes"`
}

// A Model is a model in a worker's memory.
type Model struct {
	About About

	link   *worker.Link
	device hardware.Device
	facts  llm.Facts
}

var _ llm.Session = (*Model)(nil)

// library and version name what runs the model, not what computes below it.
func (m *Model) library() string {
	if m.device.Library == "MLX" {
		return "mlx-lm"
	}
	return "transformers"
}

func (m *Model) version() string { return m.device.Versions[m.library()] }

// Facts says what loading found out.
func (m *Model) Facts() llm.Facts { return m.facts }

// Close ends the worker.
func (m *Model) Close() error {
	m.link.Close()
	return nil
}

// A Generation with the most memory that was taken until its end.
type Generation struct {
	llm.Generation
	Peak   int64  `json:"peak_bytes"` // 0 when not known
	PeakOf string `json:"peak_of"`    // whose: "MLX", "PyTorch", "the process"
}

// Generate is Say without the memory that it took.
func (m *Model) Generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (llm.Generation, error) {
	g, err := m.Say(ctx, r, each)
	return g.Generation, err
}

// patience is how long a worker may take to stop between two tokens.
const patience = 10 * time.Second

type generateArgs struct {
	Prompt     string `json:"prompt"`
	Chat       bool   `json:"chat"`
	Filler     int    `json:"filler"`
	Tokens     int    `json:"tokens"`
	IgnoreEnd  bool   `json:"ignore_end"`
	Candidates int    `json:"candidates"`
}

// token is an event of generate.
type token struct {
	ID         int             `json:"token"`
	Text       string          `json:"text"` // empty while a character is not whole yet
	Candidates []llm.Candidate `json:"candidates"`
}

// generated is the answer to generate.
type generated struct {
	PromptTokens int    `json:"prompt_tokens"`
	PromptNS     int64  `json:"prompt_ns"`
	Tokens       int    `json:"tokens"`
	TokenNS      int64  `json:"token_ns"`
	Finish       string `json:"finish"`
	Peak         int64  `json:"peak"`
}

// Say continues a prompt.
func (m *Model) Say(ctx context.Context, r llm.Request, each func(llm.Piece)) (Generation, error) {
	start := time.Now()
	var text strings.Builder // these are written by events, which end before Call returns
	var sequence []llm.Token
	var first time.Duration
	var broken error
	var answer generated
	args := generateArgs{r.Prompt, r.Chat && m.About.Chat, r.Filler, r.Tokens, r.IgnoreEnd, r.Candidates}
	stopped, err := m.link.Call(ctx, "generate", args, &answer, func(raw json.RawMessage) {
		at := time.Since(start)
		var e token
		if err := json.Unmarshal(raw, &e); err != nil {
			broken = fmt.Errorf("event %s is not understood: %w", raw, err)
			return
		}
		if len(sequence) == 0 {
			first = at
		}
		sequence = append(sequence, llm.Token{ID: e.ID, Text: e.Text, Candidates: e.Candidates})
		text.WriteString(e.Text)
		if each != nil && e.Text != "" {
			each(llm.Piece{Text: e.Text, At: at})
		}
	}, patience)
	if err == nil && stopped {
		err = ctx.Err()
	}
	return Generation{
		Generation: llm.Generation{
			Text:         text.String(),
			First:        first,
			Wall:         time.Since(start),
			PromptTokens: answer.PromptTokens,
			PromptTime:   time.Duration(answer.PromptNS),
			Tokens:       answer.Tokens,
			TokenTime:    time.Duration(answer.TokenNS),
			Finish:       answer.Finish,
			Sequence:     sequence,
		},
		Peak:   answer.Peak,
		PeakOf: m.About.PeakOf,
	}, errors.Join(err, broken)
}
