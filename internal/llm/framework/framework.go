// Package framework runs language models in the Python frameworks that a user has:
// mlx-lm on MLX, transformers on PyTorch. The model is a folder as Hugging Face has
// it. A Runtime is an llm.Runtime for whoever compares tokens per second; its Models
// can also be fine-tuned, as train.Models.
//
// A framework computes all layers on one device: a model is never split, and nothing
// moves to the CPU unasked.
package framework

import (
	"cmp"
	"context"
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

// A Runtime loads models, each into a worker of its own.
type Runtime struct {
	// Runtime is MLX or Transformers.
	Runtime string
	// Client makes the parent's end of a worker that computes with a number of CPU
	// threads, 0 for the framework's own choice.
	Client func(ctx context.Context, threads int) (*worker.Client, error)
	// GPU is where Load puts a model with layers on the GPU, as hardware.Pick takes it;
	// empty: the first GPU.
	GPU string
	// Notes say how the interpreter was found, as python.Interpreter.Notes returns them.
	Notes []string
	// DType is the type that Load has a GPU compute in, "float32" where it is compared with
	// a CPU; empty: the framework's choice, for many models 16 bits.
	DType string
}

var _ llm.Runtime = (*Runtime)(nil)

// Name is what people choose it by: mlx or torch.
func (r *Runtime) Name() string {
	if r.Runtime == MLX {
		return "mlx"
	}
	return "torch"
}

// Load loads the model in a folder onto the CPU when l has no layers, else onto the
// GPU; one that is not there is an error that says why.
func (r *Runtime) Load(ctx context.Context, model string, l llm.Settings) (llm.Session, error) {
	o := Options{Device: string(hardware.CPU), Threads: l.Threads}
	if l.Layers > 0 {
		o.Device, o.onGPU = cmp.Or(r.GPU, string(hardware.GPU)), true
	}
	o.DType, o.Graph = r.DType, true
	m, err := r.Open(ctx, model, o)
	if err != nil {
		return nil, err
	}
	if total := m.about.Layers; l.Layers > 0 && l.Layers < total {
		m.facts.Notes = append(m.facts.Notes, fmt.Sprintf("%s has no split between devices: all %d layers are on the GPU", m.library(), total))
	}
	return m, nil
}

// Options say how a model is loaded.
type Options struct {
	Device  string // as hardware.Pick takes it: cpu, gpu, cuda:1; "": the GPU if there is one
	Threads int    // CPU threads; 0: the framework's own choice
	Adapter string // the folder of an adapter to load with it, "" for none
	Bits    int    // bits to cut the weights to; 0: leave them as they are
	DType   string // the type to compute in on a GPU, "float32"; "": the framework's choice
	Graph   bool   // generate with the kernels of each token as one CUDA graph, where that is possible
	Rows    *Rows  // to be learned, each of which is checked before the model is loaded; nil: none

	onGPU bool // a Device that is no GPU is an error
}

// Rows are what a model is to learn.
type Rows struct {
	Train, Valid string // .jsonl files; Valid may be empty
	Prompt       string // to be asked before and after; empty for none
	Limit        int    // tokens that the prompt may take: more of it are cut off
}

// Open starts a worker and loads the model in a folder. A row of o.Rows of which the
// tokenizer or the chat template makes no tokens to learn is an error that names its file
// and its line.
func (r *Runtime) Open(ctx context.Context, folder string, o Options) (*Model, error) {
	start := time.Now()
	c, err := r.Client(ctx, o.Threads)
	if err != nil {
		return nil, err
	}
	link, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	m := &Model{link: link}
	m.device, err = hardware.Pick(link.Inventory(), r.Name(), o.Device)
	if err == nil && o.Rows != nil {
		var checked worker.Checked
		checked, _, err = worker.Do(ctx, link, worker.Rows, worker.RowsArgs{Model: folder, Train: o.Rows.Train, Valid: o.Rows.Valid, Prompt: o.Rows.Prompt, Limit: o.Rows.Limit}, nil, 0)
		m.prompt = checked.Prompt
	}
	if err == nil && o.onGPU && m.device.Kind == hardware.CPU {
		err = fault.Errorf(fault.Invalid, "device %s is no GPU", o.Device).With(fault.Set("ngl", 0, "the CPU alone"))
	}
	if err == nil {
		m.about, _, err = worker.Do(ctx, link, worker.Load, worker.LoadArgs{Device: m.device.ID, Model: folder, Adapter: o.Adapter, Bits: o.Bits, DType: o.DType, Graph: o.Graph}, nil, 0)
	}
	if err != nil {
		link.Close()
		return nil, err
	}
	m.facts = llm.Facts{
		Device:  m.device,
		Runtime: m.library() + " " + m.version(),
		Load:    time.Since(start),
		Memory:  &m.about.Bytes,
		Threads: m.about.Threads,
		DType:   m.about.DType,
		Context: m.about.Context,
		Notes:   slices.Concat(r.Notes, m.about.Notes),
	}
	if m.about.Layers > 0 {
		on, total := 0, m.about.Layers+1 // the output layer is one more
		if m.device.Kind == hardware.GPU {
			on = total
		}
		m.facts.Layers, m.facts.Total = &on, &total
	}
	return m, nil
}

// A Model is a model in a worker's memory.
type Model struct {
	about  llm.About
	prompt string // of Rows
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

// About says what kind of model it is.
func (m *Model) About() llm.About { return m.about }

// Prompt returns as much of the beginning of Rows.Prompt as may be asked.
func (m *Model) Prompt() string { return m.prompt }

// Close ends the worker.
func (m *Model) Close() error {
	m.link.Close()
	return nil
}

// patience is how long a worker may take to stop between two tokens.
const patience = 10 * time.Second

// Generate continues a prompt.
func (m *Model) Generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (llm.Generation, error) {
	start := time.Now()
	var text strings.Builder // these are written by events, which end before Do returns
	var sequence []llm.Token
	var first time.Duration
	args := worker.GenerateArgs{Prompt: r.Prompt, Chat: r.Chat && m.about.Chat, Filler: r.Filler, Tokens: r.Tokens, IgnoreEnd: r.IgnoreEnd, Candidates: r.Candidates, Eager: r.Eager}
	answer, stopped, err := worker.Do(ctx, m.link, worker.Generate, args, func(t llm.Token) {
		at := time.Since(start)
		if len(sequence) == 0 {
			first = at
		}
		sequence = append(sequence, t)
		text.WriteString(t.Text)
		if each != nil && t.Text != "" { // it is empty while a character is not complete
			each(llm.Piece{Text: t.Text, At: at})
		}
	}, patience)
	if err == nil && stopped {
		err = ctx.Err()
	}
	return llm.Generation{
		Text:         text.String(),
		First:        first,
		Wall:         time.Since(start),
		PromptTokens: answer.PromptTokens,
		PromptTime:   answer.PromptTime,
		Tokens:       answer.Tokens,
		TokenTime:    answer.TokenTime,
		Finish:       answer.Finish,
		Graph:        answer.Graph,
		Sequence:     sequence,
		Peak:         answer.Peak,
		PeakOf:       m.about.PeakOf,
	}, err
}
