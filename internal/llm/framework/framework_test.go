package framework_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/train"
)

// each runs a test with either framework, and a tiny model on its CPU.
func each(t *testing.T, f func(t *testing.T, r *framework.Runtime, folder string)) {
	for _, name := range frameworktest.Runtimes {
		t.Run(name, func(t *testing.T) { f(t, frameworktest.Real(t, name), frameworktest.TinyModel(t, name)) })
	}
}

// open loads the tiny model, with an adapter if there is one.
func open(t *testing.T, r *framework.Runtime, folder, adapter string) *framework.Model {
	t.Helper()
	m, err := r.Open(frameworktest.Limit(t), folder, framework.Options{Device: "cpu", Adapter: adapter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

var request = llm.Request{Prompt: "Question: What is a matrix?", Tokens: 24, IgnoreEnd: true}

func TestGenerate(t *testing.T) {
	said := map[string]string{}
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		m := open(t, r, folder, "")
		f := m.Facts()
		if f.Device.Kind != hardware.CPU || f.Load <= 0 || *f.Layers != 0 || *f.Total != 3 || f.Context != 512 || *f.Memory < 400_000 || !strings.Contains(f.Runtime, ".") {
			t.Errorf("facts %+v", f)
		}
		if m.About().Layers != 2 || m.About().Hidden != 64 || m.About().Vocabulary != 258 || m.About().Chat || m.About().DType != "float32" || m.About().Parameters*4 != m.About().Bytes {
			t.Errorf("about %+v", m.About())
		}
		var pieces strings.Builder
		var last time.Duration
		g, err := m.Generate(frameworktest.Limit(t), request, func(p llm.Piece) {
			pieces.WriteString(p.Text)
			if p.At < last {
				t.Errorf("a piece at %s after one at %s", p.At, last)
			}
			last = p.At
		})
		if err != nil {
			t.Fatal(err)
		}
		if g.Text != pieces.String() || g.Text == "" {
			t.Errorf("text %q, pieces %q", g.Text, pieces.String())
		}
		if g.PromptTokens != len(request.Prompt) || g.Tokens != request.Tokens || g.Finish != "length" {
			t.Errorf("%d and %d tokens, finish %q", g.PromptTokens, g.Tokens, g.Finish)
		}
		if g.PromptTime <= 0 || g.TokenTime <= 0 || g.First <= 0 || g.First > g.Wall || g.PromptTime+g.TokenTime > g.Wall {
			t.Errorf("times %+v", g)
		}
		with := request
		with.Candidates = 3
		again, err := m.Generate(frameworktest.Limit(t), with, nil)
		if err != nil || again.Text != g.Text || len(again.Sequence) != with.Tokens {
			t.Errorf("the same prompt again says %q in %d tokens, %v", again.Text, len(again.Sequence), err)
		}
		for _, s := range again.Sequence {
			if c := s.Candidates; len(c) != 3 || c[0].ID != s.ID || *c[0].LogProb < *c[1].LogProb || *c[1].LogProb < *c[2].LogProb || *c[0].LogProb > 0 {
				t.Errorf("token %d of candidates %+v", s.ID, c)
			}
		}
		filler, err := m.Generate(frameworktest.Limit(t), llm.Request{Filler: 100, Tokens: 1}, nil)
		if err != nil || filler.PromptTokens != 100 || filler.Tokens != 1 {
			t.Errorf("a filler of 100 tokens: %+v, %v", filler, err)
		}
		said[r.Name()] = g.Text
		t.Run("refuses", func(t *testing.T) { refuses(t, m) })
		t.Run("stops", func(t *testing.T) { stops(t, m) })
	})
	if len(said) == 2 && said["mlx"] != said["torch"] {
		t.Errorf("the same weights say %q in MLX and %q in PyTorch", said["mlx"], said["torch"])
	}
}

// A model that computes no numbers generates its tokens all the same, and nobody takes
// its probabilities for some.
func TestNoNumbers(t *testing.T) {
	for _, name := range frameworktest.Runtimes {
		t.Run(name, func(t *testing.T) {
			m := open(t, frameworktest.Real(t, name), frameworktest.TinyModel(t, name, "--nan"), "")
			with := request
			with.Candidates = 3
			g, err := m.Generate(frameworktest.Limit(t), with, nil)
			if err != nil || len(g.Sequence) != with.Tokens {
				t.Fatalf("%+v, %v", g, err)
			}
			for _, s := range g.Sequence {
				if len(s.Candidates) != 3 || s.Candidates[0].LogProb != nil {
					t.Errorf("candidates %+v", s.Candidates)
				}
			}
			if c := llm.Agree("CPU", g.Sequence, g.Sequence); c.Passed {
				t.Errorf("the check passed: %+v", c)
			}
		})
	}
}

// PyTorch computes in float32 on a CPU. That is a caveat where the weights have 16 bits,
// whether the configuration says so or not, and nowhere else.
func TestHalfWeights(t *testing.T) {
	r := frameworktest.Real(t, framework.Transformers)
	for args, noted := range map[string]bool{"": false, "--no-dtype": false, "--float16": true, "--float16 --no-dtype": true} {
		m := open(t, r, frameworktest.TinyModel(t, framework.Transformers, strings.Fields(args)...), "")
		if notes := m.Facts().Notes; slices.Contains(notes, "computes in float32: 16 bits are slow on most CPUs") != noted || m.About().DType != "float32" {
			t.Errorf("%q: notes %q, %s", args, notes, m.About().DType)
		}
	}
}

func refuses(t *testing.T, m *framework.Model) {
	for name, tt := range map[string]struct {
		request llm.Request
		says    string
	}{
		"longer than the context": {llm.Request{Prompt: strings.Repeat("a", 500), Tokens: 20}, "500 tokens of prompt and 20 to generate are more than the 512"},
		"no prompt":               {llm.Request{Tokens: 1}, "the prompt has no tokens"},
	} {
		var e *fault.Error
		if _, err := m.Generate(frameworktest.Limit(t), tt.request, nil); !errors.As(err, &e) || e.Code != fault.Invalid || !strings.Contains(e.Message, tt.says) || len(e.Remedies) == 0 {
			t.Errorf("%s: error %#v", name, err)
		}
	}
}

// What was said until the context ended is kept, and the model continues to work.
func stops(t *testing.T, m *framework.Model) {
	ctx, cancel := context.WithCancel(frameworktest.Limit(t))
	long := request
	long.Tokens = 400
	g, err := m.Generate(ctx, long, func(llm.Piece) { cancel() })
	if !errors.Is(err, context.Canceled) || g.Text == "" || g.Tokens < 1 || g.Tokens >= long.Tokens {
		t.Errorf("%d tokens %q, error %v", g.Tokens, g.Text, err)
	}
	if _, err := m.Generate(frameworktest.Limit(t), request, nil); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// What cannot be loaded is named, with what is wrong.
func TestRefuses(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		broken := t.TempDir()
		text, err := os.ReadFile(filepath.Join(folder, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct{ from, to, says string }{
			"an unknown architecture": {`"llama"`, `"abacus"`, "abacus"},
			"cut weights":             {"", "", "cannot load"},
		} {
			if err := errors.Join(os.CopyFS(filepath.Join(broken, name), os.DirFS(folder)),
				os.WriteFile(filepath.Join(broken, name, "config.json"), []byte(strings.Replace(string(text), c.from, c.to, 1)), 0o644)); err != nil {
				t.Fatal(err)
			}
			if name == "cut weights" {
				if err := os.Truncate(filepath.Join(broken, name, "model.safetensors"), 1000); err != nil {
					t.Fatal(err)
				}
			}
			var e *fault.Error
			if _, err := r.Open(frameworktest.Limit(t), filepath.Join(broken, name), framework.Options{Device: "cpu"}); !errors.As(err, &e) || e.Code != fault.Invalid || !strings.Contains(e.Message, c.says) {
				t.Errorf("%s: error %#v", name, err)
			}
		}
	})
}

// A GPU that is not there is an error that says why, for a lane as for a name.
func TestNoGPU(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		s, err := r.Load(frameworktest.Limit(t), folder, llm.Settings{Layers: 99})
		if err == nil {
			defer s.Close()
			if d := s.Facts().Device; d.Kind != hardware.GPU {
				t.Errorf("a lane of 99 layers is on %+v", d)
			}
			return
		}
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.Unavailable || !strings.Contains(e.Message, "has no device gpu: ") || len(e.Remedies) == 0 {
			t.Errorf("error %#v", err)
		}
	})
}

// The GPU of a lane is the one that was named, never another one nor the CPU.
func TestNamedGPU(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		for device, want := range map[string]struct {
			code fault.Code
			says string
		}{
			"cuda:77": {fault.Unavailable, "cuda:77"},
			"cpu":     {fault.Invalid, "device cpu is no GPU"},
		} {
			named := *r
			named.GPU = device
			_, err := named.Load(frameworktest.Limit(t), folder, llm.Settings{Layers: llm.AllLayers})
			if !errors.Is(err, want.code) || !strings.Contains(err.Error(), want.says) || len(fault.From(err).Remedies) == 0 {
				t.Errorf("%s: error %v, want %s: %s", device, err, want.code, want.says)
			}
			s, err := named.Load(frameworktest.Limit(t), folder, llm.Settings{}) // the CPU's lane stays
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
	})
}

// rows writes a file of rows that are quickly learned.
func rows(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "train.jsonl")
	text := strings.Repeat(`{"text": "Question: What is a matrix? Numbers in rows."}`+"\n\n"+`{"text": "Question: What is a loss? A surprise."}`+"\n", 4)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func settings(t *testing.T) train.Settings {
	file := rows(t)
	return train.Settings{
		Train: file, Valid: file, Adapter: t.TempDir(), Batch: 2, Layers: 1, Rank: 4, Scale: 10, LR: 3e-3, Seed: 1,
		MaxLength: 64, SaveEvery: 4, EvalEvery: 4, State: map[string]any{"runtime": "test"},
	}
}

// names returns the files in a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// A training lowers the loss and changes the text; the framework itself loads what
// was saved, and says the same with it.
func TestTrain(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		for name, dora := range map[string]bool{"LoRA": false, "DoRA": true} {
			t.Run(name, func(t *testing.T) {
				m := open(t, r, folder, "")
				before, err := m.Generate(frameworktest.Limit(t), request, nil)
				if err != nil {
					t.Fatal(err)
				}
				s := settings(t)
				s.DoRA = dora
				tuning, err := m.Tune(frameworktest.Limit(t), s)
				if err != nil {
					t.Fatal(err)
				}
				if tuning.Rows != 8 || tuning.Longest != 45 || tuning.Cut != 0 || tuning.Layers != 1 || tuning.Trainable < 1000 {
					t.Errorf("tuning %+v", tuning)
				}
				var losses, held []float64
				var saved []int
				trained, stopped, err := m.Train(frameworktest.Limit(t), 10, time.Minute, func(s train.Step) {
					switch {
					case s.Loss != nil:
						losses = append(losses, *s.Loss)
						if s.Iteration != len(losses) || math.Abs(s.LR-3e-3) > 1e-8 || s.Speed <= 0 || s.Tokens <= 0 || s.Peak <= 0 {
							t.Errorf("step %+v", s)
						}
					case s.Validation != nil:
						held = append(held, *s.Validation)
					case s.Saved > 0:
						saved = append(saved, s.Saved)
					}
				})
				if err != nil || stopped || trained.Iterations != 10 || *trained.Loss != losses[9] {
					t.Fatalf("trained %+v, stopped %t, error %v", trained, stopped, err)
				}
				if len(losses) != 10 || losses[9] > losses[0]-1 || held[len(held)-1] > held[0]-1 {
					t.Errorf("losses %.2f, on rows that are not trained on %.2f", losses, held)
				}
				if !slices.Equal(saved, []int{4, 8, 10}) {
					t.Errorf("saved at %v", saved)
				}
				if files := names(t, s.Adapter); len(files) != 3 || !slices.Contains(files, "adapter_config.json") {
					t.Errorf("the adapter is %v", files)
				}
				after, err := m.Generate(frameworktest.Limit(t), request, nil)
				if err != nil || after.Text == before.Text {
					t.Errorf("it says %q after and before, %v", after.Text, err)
				}
				again, err := open(t, r, folder, s.Adapter).Generate(frameworktest.Limit(t), request, nil)
				if err != nil || again.Text != after.Text {
					t.Errorf("the saved adapter says %q, the trained model %q, %v", again.Text, after.Text, err)
				}
			})
		}
	})
}

// A training that is stopped saves what it has, and can be continued.
func TestTrainStopsAndResumes(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		s := settings(t)
		m := open(t, r, folder, "")
		if _, err := m.Tune(frameworktest.Limit(t), s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(frameworktest.Limit(t))
		trained, stopped, err := m.Train(ctx, 1_000_000, time.Minute, func(s train.Step) {
			if s.Iteration == 6 {
				cancel()
			}
		})
		if err != nil || !stopped || trained.Iterations < 6 {
			t.Fatalf("trained %+v, stopped %t, error %v", trained, stopped, err)
		}
		s.Resume, s.From = true, trained.Iterations
		next := open(t, r, folder, "")
		if _, err := next.Tune(frameworktest.Limit(t), s); err != nil {
			t.Fatal(err)
		}
		var first train.Step
		again, _, err := next.Train(frameworktest.Limit(t), 2, time.Minute, func(s train.Step) {
			if first.Loss == nil && s.Loss != nil {
				first = s
			}
		})
		if err != nil || again.Iterations != trained.Iterations+2 || first.Iteration != trained.Iterations+1 {
			t.Fatalf("went on to %+v, first %+v, error %v", again, first, err)
		}
		if *first.Loss > 5.5 { // a new adapter begins above 6
			t.Errorf("continues with loss %.2f after %.2f", *first.Loss, *trained.Loss)
		}
	})
}

// Gemma 3 270M learns what gpuplay brings along, and says it. PyTorch does it in the
// time that a test may take; MLX's wheel for Linux would need a BLAS of its own.
func TestGemma(t *testing.T) {
	folder := frameworktest.Gemma(t)
	m := open(t, frameworktest.Real(t, framework.Transformers), folder, "")
	ask := llm.Request{Prompt: "Question: What is gpuplay?\nAnswer:", Tokens: 24}
	before, err := m.Generate(frameworktest.Limit(t), ask, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := settings(t)
	builtIn, err := filepath.Abs("../../lora/builtin/train.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	s.Train, s.Valid = builtIn, ""
	s.Batch, s.Layers, s.Rank, s.Scale, s.LR, s.SaveEvery = 4, 16, 8, 20, 2e-4, 100
	if _, err := m.Tune(frameworktest.Limit(t), s); err != nil {
		t.Fatal(err)
	}
	var losses []float64
	if _, _, err := m.Train(frameworktest.Limit(t), 16, time.Minute, func(s train.Step) {
		if s.Loss != nil {
			losses = append(losses, *s.Loss)
		}
	}); err != nil {
		t.Fatal(err)
	}
	after, err := m.Generate(frameworktest.Limit(t), ask, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("losses %.2f\nbefore %q\nafter  %q", losses, before.Text, after.Text)
	if losses[len(losses)-1] > losses[0]/2 || strings.Contains(before.Text, "Moi!") || !strings.Contains(after.Text, "Moi!") {
		t.Errorf("losses %.2f, and it says %q after %q", losses, after.Text, before.Text)
	}
}
