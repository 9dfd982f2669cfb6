package recordtest

import (
	"fmt"
	"math"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/train"
)

// Devices of the example machine, as llama.cpp reaches them.
var (
	LlamaCPU      = hardware.Device{ID: "cpu", Name: Chip, Kind: hardware.CPU, API: "cpu", Library: "llama.cpp", Version: "b9000"}
	LlamaGPU      = hardware.Device{ID: "CUDA0", Name: Card, Kind: hardware.GPU, API: "cuda", Library: "llama.cpp", Version: "b9000"}
	LlamaSoftware = hardware.Device{ID: "Vulkan0", Name: "llvmpipe (LLVM 15.0.6, 256 bits)", Kind: hardware.SoftwareGPU, API: "vulkan", Library: "llama.cpp", Version: "b9000"}
)

// Lane returns a lane of a language model with a number of layers asked for on the GPU that
// reached these tokens per second at generation and at prompts, changed by change.
func Lane(d hardware.Device, layers int, rate, prompt float64, change ...func(*llm.Result)) *llm.Result {
	const total = 25
	r := &llm.Result{
		Lane: "llama.cpp/cpu", Name: "CPU", Runtime: "llama.cpp", Settings: llm.Settings{Layers: layers, Context: 1024}, Tokens: 64, Filler: 512, Round: true,
		Facts: llm.Facts{Device: d, Runtime: "llama.cpp b9000", Load: 1200 * time.Millisecond, Memory: ptr(int64(400e6 + 20e6*float64(layers))), Context: 1024},
		Shown: &llm.Generation{Text: "Hei!", Tokens: 64, PromptTokens: 6, Finish: "length", Sequence: []llm.Token{{ID: 1, Text: "Hei"}}},
		Check: &llm.Check{Base: "CPU", Agree: 64, Of: 64, Passed: true},
	}
	if layers > 0 {
		r.Lane, r.Name = fmt.Sprintf("llama.cpp/gpu/%d", layers), "GPU"
		r.Facts.Layers, r.Facts.Total = ptr(min(layers, total)), ptr(total)
	}
	at := time.Second
	for i := range 6 {
		wiggle := 1 + 0.01*float64((i*5+layers)%6-3)/3
		s := llm.Sample{
			First: time.Duration(wiggle * 6 / prompt * 5e9), Tokens: 64, TokenTime: time.Duration(63 / rate * wiggle * 1e9),
			PromptTokens: 512, PromptTime: time.Duration(512 / prompt * wiggle * 1e9), Start: at,
		}
		at += s.First + s.TokenTime + s.PromptTime
		s.End = at
		r.Samples = append(r.Samples, s)
	}
	for _, c := range change {
		c(r)
	}
	return r
}

// Peer returns what llama-bench measured on a lane, in tokens per second.
func Peer(lane *llm.Result, generation, prompt float64) record.Peer {
	times := func(tokens int, rate float64) (list []time.Duration) {
		for i := range 6 {
			list = append(list, time.Duration(float64(tokens)/rate*(1+0.003*float64(i))*1e9))
		}
		return list
	}
	return record.Peer{Lane: lane.Lane, Name: "llama-bench", Results: []llm.PeerResult{
		{Name: "pp512", Tokens: 512, Samples: times(512, prompt)}, {Name: "tg128", Tokens: 128, Samples: times(128, generation)},
	}}
}

// Language returns a run of a language model on lanes.
func Language(lanes ...*llm.Result) *record.Run {
	r := Run(record.LLM)
	r.Command = []string{"gpuplay", "llm", "m.gguf"}
	r.Tokens = &record.Tokens{
		Model: model.Model{
			Ref: "m.gguf", Name: "Example 1B", Path: "/m.gguf", Format: model.GGUF, Architecture: "llama", Quantization: "Q4_K_M", Bytes: 800e6,
			Parameters: 1.2e9, TokenBytes: 700e6, PromptParameters: 1e9, CacheBytes: 32768, Layers: 25, Runtimes: []string{model.LlamaCpp},
		},
		Prompt: "Say hello in Finnish.", Results: lanes,
	}
	return r
}

// LaneWarned adds a warning to a lane.
func LaneWarned(code measure.WarningCode, text string) func(*llm.Result) {
	return func(r *llm.Result) { r.Warnings.Add(code, "%s", text) }
}

// Tokens are examples of runs of language models.
func Tokens() map[string]*record.Run {
	limits := &llm.Limits{Bandwidth: ptr(60e9), Peak: ptr(1.1e12)}
	onCPU := Lane(LlamaCPU, 0, 40.2, 310)
	onGPU := Lane(LlamaGPU, 99, 245, 9800, func(r *llm.Result) {
		r.Check = &llm.Check{Base: "CPU", Agree: 41, Of: 64, Passed: true, Difference: &llm.Difference{At: 41, Base: " the", Lane: " a\x1b[2J", BaseLogProb: ptr(-1.2), LaneLogProb: ptr(-1.25), Among: 10}}
	})
	gpu := Language(onCPU, onGPU)
	gpu.Tokens.Limits = limits
	gpu.Tokens.Peers = []record.Peer{Peer(onCPU, 40.5, 312), Peer(onGPU, 247, 9900)}

	cpu := Language(Lane(LlamaCPU, 0, 40.2, 310, func(r *llm.Result) { r.Check = nil }))
	cpu.Tokens.Limits = limits
	cpu.Missing = []record.Missing{{
		Engine: "llama.cpp", API: "gpu", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "No GPU lane: llama.cpp b9000 lists no GPU.",
		Remedies: fault.Remedies{fault.Run("{} gets a build for the GPU that is here", "gpuplay", "setup", "llama.cpp")},
	}}

	soft := Language(Lane(LlamaCPU, 0, 40.2, 310), Lane(LlamaSoftware, 99, 1.02, 3.1, LaneWarned(measure.SoftwareGPU, "a CPU does the work behind this GPU interface"), func(r *llm.Result) {
		r.Samples, r.Filler = r.Samples[:1], 32
		r.Samples[0].PromptTokens, r.Samples[0].PromptTime = 32, r.Samples[0].PromptTime/16
	}))

	troubled := Language(
		Lane(LlamaCPU, 0, 40.2, 310, LaneWarned(measure.Noise, "noisy: something else uses this machine, or its clock changes")),
		Lane(LlamaGPU, 99, 500, 9800, func(r *llm.Result) {
			r.Check = &llm.Check{Base: "CPU", Of: 64, Reason: "token 1, \"\x1b]0;x\x07\", is not among the 10 most probable tokens of the CPU lane", Difference: &llm.Difference{Base: "Hei", Lane: "\x1b]0;x\x07", BaseLogProb: ptr(-0.5), Among: 10}}
		}),
		Lane(LlamaGPU, 12, 90, 900, func(r *llm.Result) {
			r.Samples, r.Check = []llm.Sample{}, nil
			r.Error = fault.Errorf(fault.Crashed, "llama.cpp ended by signal 11 (segmentation fault) while generating: “some last\x1b[2J words”").With(fault.Run("", "gpuplay", "doctor"))
		}))

	layers := Language()
	for i, n := range []int{0, 5, 10, 15, 20, 25} {
		d := LlamaGPU
		if n == 0 {
			d = LlamaCPU
		}
		layers.Tokens.Results = append(layers.Tokens.Results, Lane(d, n, 40+41*float64(i), 300+1900*float64(i), func(r *llm.Result) { r.Round = false }))
	}
	layers.Tokens.Layers = true

	// Two cards of one model, of which the process sees the second, and a runtime that
	// does not say how many layers are there.
	cards := Language(Lane(LlamaCPU, 0, 40.2, 310), Lane(LlamaGPU, 99, 245, 9800, func(r *llm.Result) {
		r.Facts.Layers, r.Facts.Total = nil, nil
		r.Facts.Device.Card, r.Facts.Device.Index = ptr(1), ptr(0)
	}))
	cards.Cards = []hardware.Card{{Number: 0, Name: Card}, {Number: 1, Name: Card}}

	none := Language(&llm.Result{Lane: "llama.cpp/cpu", Name: "CPU", Runtime: "llama.cpp", Tokens: 64, Samples: []llm.Sample{}})
	none.Interrupted = true
	return map[string]*record.Run{
		"tokens.gpu": gpu, "tokens.cpu": cpu, "tokens.soft": soft, "tokens.troubled": troubled, "tokens.layers": layers, "tokens.cards": cards, "tokens.none": none,
	}
}

func about() (llm.Facts, llm.About) {
	a := llm.About{
		Parameters: 268098176, Bytes: 536196352, DType: "bfloat16", Layers: 18, Hidden: 640, Vocabulary: 262144, Heads: 4, Context: 32768, Threads: 16, PeakOf: "the process",
	}
	d := hardware.Device{ID: "cpu", Name: Chip, Kind: hardware.CPU, API: "cpu", Library: "PyTorch", Version: "2.15.0"}
	return llm.Facts{
		Device: d, Runtime: "PyTorch 2.15.0", Load: 2100 * time.Millisecond, Layers: ptr(0), Total: ptr(19), Memory: ptr(a.Bytes), Threads: 16, Context: 32768,
		Notes: []string{"bfloat16 is converted on this CPU"},
	}, a
}

// Generations are examples of prompts that were continued.
func Generations() map[string]*record.Run {
	facts, about := about()
	answer := llm.Generation{
		Text: " Helsinki.\n\nIt is a city.\x1b[2J", First: 63 * time.Millisecond, Wall: 900 * time.Millisecond, PromptTokens: 6, PromptTime: 60 * time.Millisecond,
		Tokens: 64, TokenTime: 800 * time.Millisecond, Finish: "length", Peak: 1.2e9, PeakOf: "the process",
	}
	whole := Run(record.Generate)
	whole.Generation = &record.Generation{Model: "/models/gemma-3-270m", Prompt: "The capital of Finland is", Facts: facts, About: about, Answer: answer}
	chat := Run(record.Generate)
	chat.Interrupted = true
	chat.Generation = &record.Generation{Model: "/models/gemma-3-270m", Adapter: "/home/ada/adapters", Chat: true, Prompt: "Hello?", Facts: facts, About: about, Answer: llm.Generation{Text: "Hei", Tokens: 1}}
	graph := Run(record.Generate)
	fast := answer
	fast.TokenTime, fast.Graph, fast.PeakOf = 100*time.Millisecond, true, "PyTorch"
	graph.Generation = &record.Generation{Model: "/models/gemma-3-270m", Prompt: "The capital of Finland is", Facts: facts, About: about, Answer: fast, Eager: &answer}
	return map[string]*record.Run{"generation": whole, "generation.chat": chat, "generation.graph": graph}
}

// Trainings are examples of models that were taught.
func Trainings() map[string]*record.Run {
	facts, about := about()
	var steps []train.Step
	for i := range 40 {
		at := time.Duration(i) * 300 * time.Millisecond
		if i%20 == 0 {
			steps = append(steps, train.Step{Iteration: i, Validation: ptr(3.2 * math.Exp(-float64(i)/40)), At: at})
		}
		steps = append(steps, train.Step{
			Iteration: i + 1, Loss: ptr(3.5*math.Exp(-float64(i)/15) + 0.1*math.Sin(float64(5*i))), LR: 1e-4, Speed: 410 + float64(i%7), Tokens: int64(120 * (i + 1)), Peak: 1.9e9, At: at,
		})
		if i%20 == 19 {
			steps = append(steps, train.Step{Saved: i + 1, At: at})
		}
	}
	steps = append(steps, train.Step{Iteration: 40, Validation: ptr(1.11)})
	training := func(change func(*record.Run, *train.Result)) *record.Run {
		r := Run(record.Finetune)
		r.Command = []string{"gpuplay", "finetune", "models/gemma-3-270m"}
		r.Training = &record.Training{
			Model: "/models/gemma-3-270m", Name: "gemma 3 270m", Facts: facts, About: about, Iters: 40,
			Data: train.Data{Form: train.Completion, Rows: 48, Held: 8, Prompt: "Question: What is gpuplay?\nAnswer:"},
			Settings: train.Settings{
				Train: "/data/train.jsonl", Valid: "/data/valid.jsonl", Adapter: "/home/ada/adapters", Batch: 4, Layers: 16, Rank: 8, Scale: 20, LR: 1e-4, Seed: 1,
				MaxLength: 2048, SaveEvery: 20, EvalEvery: 20, State: map[string]any{"schema": "gpuplay/adapter/v1", "rank": 8.0},
			},
			Result: train.Result{
				Plan: &train.Plan{Rows: 48, Longest: 61, Padded: 64, Cut: 2, Trainable: 1900544, Layers: 16}, Estimate: 1.7e9,
				Prompt: "Question: What is gpuplay?\nAnswer:", Before: "A game.\n\nA game",
				After: "gpuplay is a playground that measures \x1b[2Jwhat a GPU is worth. It runs the same work on the CPU and on the GPU, checks that both come to the same, and says how many times as fast one is.",
				Steps: steps, Peak: 1.95e9, Saved: 40, Wall: 12340 * time.Millisecond, End: train.Complete,
			},
		}
		change(r, &r.Training.Result)
		return r
	}
	return map[string]*record.Run{
		"training": training(func(*record.Run, *train.Result) {}),
		"training.stopped": training(func(r *record.Run, t *train.Result) {
			r.Interrupted = true
			t.Steps, t.After, t.Saved, t.End = steps[:25], "", 20, train.Interrupted
		}),
		"training.memory": training(func(r *record.Run, t *train.Result) {
			t.Steps, t.After, t.Saved, t.End = steps[:3], "", 0, train.LowMemory
			r.Error = fault.Errorf(fault.OutOfMemory, "stopped before the machine swaps: 90.0 MB of memory is free, less than 2.00 GB; nothing was saved").With(fault.Change("batch", "a smaller {}"))
		}),
		"training.early": training(func(r *record.Run, t *train.Result) {
			*t = train.Result{Prompt: "x", Steps: []train.Step{}, End: train.Failed}
			r.Error = fault.Errorf(fault.Internal, "asking before the training: broken")
		}),
	}
}
