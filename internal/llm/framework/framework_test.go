package framework

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gpuplay/internal/bench"
	"gpuplay/internal/engine/enginetest"
	"gpuplay/internal/llm"
	"gpuplay/internal/python"
	"gpuplay/internal/worker"
)

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// modules are what each runtime stands on, the framework first.
var modules = map[string][]string{MLX: {"mlx", "mlx_lm"}, Transformers: {"torch", "transformers", "peft"}}

// interpreter returns the Python that has what a runtime needs.
func interpreter(t *testing.T, runtime string) string {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	name := modules[runtime][0]
	s := python.Search{Variable: os.Getenv(python.Variable(name)), Folder: root, VirtualEnv: os.Getenv("VIRTUAL_ENV"), LookPath: exec.LookPath, Has: python.HasModule}
	found, err := s.Find(limit(t), name)
	for _, m := range modules[runtime] {
		if err != nil || !python.HasModule(limit(t), found.Path, m) {
			enginetest.Require(t, m, "no Python with "+m+" was found: pip install "+m+" into .venv-"+name)
		}
	}
	return found.Path
}

// real returns a runtime with the user's framework.
func real(t *testing.T, name string) *Runtime {
	t.Helper()
	path := interpreter(t, name)
	return &Runtime{Runtime: name, Client: func(_ context.Context, threads int) (*worker.Client, error) {
		args, source, err := python.Worker(path, name)
		return &worker.Client{Engine: name, Path: path, Args: args, Source: source, Env: os.Environ(), Hello: worker.Hello{CPU: "a CPU", Threads: threads}}, err
	}}
}

var tiny struct {
	once   sync.Once
	folder string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(tiny.folder)
	os.Exit(code)
}

// tinyModel returns the folder of a random model, made on the spot with the Python of
// either framework.
func tinyModel(t *testing.T, runtime string) string {
	t.Helper()
	path := interpreter(t, runtime)
	tiny.once.Do(func() {
		if tiny.folder, tiny.err = os.MkdirTemp("", "tiny-model-"); tiny.err == nil {
			var out []byte
			if out, tiny.err = exec.Command(path, filepath.Join("testdata", "tiny_model.py"), tiny.folder).CombinedOutput(); tiny.err != nil {
				tiny.err = errors.New(string(out))
			}
		}
	})
	if tiny.err != nil {
		t.Fatal(tiny.err)
	}
	return tiny.folder
}

// each runs a test with either framework, and a tiny model on its CPU.
func each(t *testing.T, f func(t *testing.T, r *Runtime, folder string)) {
	for _, name := range []string{MLX, Transformers} {
		t.Run(name, func(t *testing.T) { f(t, real(t, name), tinyModel(t, name)) })
	}
}

// open loads the tiny model, with an adapter if there is one.
func open(t *testing.T, r *Runtime, folder, adapter string) *Model {
	t.Helper()
	m, err := r.Open(limit(t), folder, Options{Device: "cpu", Adapter: adapter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

var request = llm.Request{Prompt: "Question: What is a matrix?", Tokens: 24, IgnoreEnd: true}

func TestGenerate(t *testing.T) {
	said := map[string]string{}
	each(t, func(t *testing.T, r *Runtime, folder string) {
		m := open(t, r, folder, "")
		f := m.Facts()
		if f.Device.Kind != bench.CPU || f.Load <= 0 || *f.Layers != 0 || *f.Total != 3 || f.Context != 512 || *f.Memory < 400_000 || !strings.Contains(f.Runtime, ".") {
			t.Errorf("facts %+v", f)
		}
		if m.About.Layers != 2 || m.About.Hidden != 64 || m.About.Vocabulary != 258 || m.About.Chat || m.About.DType != "float32" || m.About.Parameters*4 != m.About.Bytes {
			t.Errorf("about %+v", m.About)
		}
		var pieces strings.Builder
		var last time.Duration
		g, err := m.Generate(limit(t), request, func(p llm.Piece) {
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
		again, err := m.Generate(limit(t), with, nil)
		if err != nil || again.Text != g.Text || len(again.Sequence) != with.Tokens {
			t.Errorf("the same prompt again says %q in %d tokens, %v", again.Text, len(again.Sequence), err)
		}
		for _, s := range again.Sequence {
			if c := s.Candidates; len(c) != 3 || c[0].ID != s.ID || c[0].LogProb < c[1].LogProb || c[1].LogProb < c[2].LogProb || c[0].LogProb > 0 {
				t.Errorf("token %d of candidates %+v", s.ID, c)
			}
		}
		filler, err := m.Generate(limit(t), llm.Request{Filler: 100, Tokens: 1}, nil)
		if err != nil || filler.PromptTokens != 100 || filler.Tokens != 1 {
			t.Errorf("a filler of 100 tokens: %+v, %v", filler, err)
		}
		said[r.Name()] = g.Text
	})
	if len(said) == 2 && said["mlx"] != said["torch"] {
		t.Errorf("the same weights say %q in MLX and %q in PyTorch", said["mlx"], said["torch"])
	}
}

// What was said until the context ends is kept, and the model goes on to work.
func TestGenerateStops(t *testing.T) {
	each(t, func(t *testing.T, r *Runtime, folder string) {
		m := open(t, r, folder, "")
		ctx, cancel := context.WithCancel(limit(t))
		long := request
		long.Tokens = 400
		g, err := m.Generate(ctx, long, func(llm.Piece) { cancel() })
		if !errors.Is(err, context.Canceled) || g.Text == "" || g.Tokens < 1 || g.Tokens >= long.Tokens {
			t.Errorf("%d tokens %q, error %v", g.Tokens, g.Text, err)
		}
		if _, err := m.Generate(limit(t), request, nil); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

func TestRefuses(t *testing.T) {
	each(t, func(t *testing.T, r *Runtime, folder string) {
		m := open(t, r, folder, "")
		for name, tt := range map[string]struct {
			request llm.Request
			says    string
		}{
			"longer than the context": {llm.Request{Prompt: strings.Repeat("a", 500), Tokens: 20}, "500 tokens of prompt and 20 to generate are more than the 512"},
			"no prompt":               {llm.Request{Tokens: 1}, "the prompt has no tokens"},
		} {
			var e *bench.Error
			if _, err := m.Generate(limit(t), tt.request, nil); !errors.As(err, &e) || e.Code != bench.ErrInvalid || !strings.Contains(e.Message, tt.says) || e.Hint == "" {
				t.Errorf("%s: error %#v", name, err)
			}
		}
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
			var e *bench.Error
			if _, err := r.Open(limit(t), filepath.Join(broken, name), Options{Device: "cpu"}); !errors.As(err, &e) || e.Code != bench.ErrInvalid || !strings.Contains(e.Message, c.says) {
				t.Errorf("%s: error %#v", name, err)
			}
		}
	})
}

// A GPU that is not there is an error that says why, for a lane as for a name.
func TestNoGPU(t *testing.T) {
	each(t, func(t *testing.T, r *Runtime, folder string) {
		s, err := r.Load(limit(t), folder, llm.Lane{Layers: 99})
		if err == nil {
			defer s.Close()
			if d := s.Facts().Device; d.Kind != bench.GPU {
				t.Errorf("a lane of 99 layers is on %+v", d)
			}
			return
		}
		var e *bench.Error
		if !errors.As(err, &e) || e.Code != bench.ErrUnavailable || !strings.Contains(e.Message, "has no device gpu: ") || e.Hint == "" {
			t.Errorf("error %#v", err)
		}
	})
}

func TestPick(t *testing.T) {
	cpu := bench.Device{ID: "cpu", Kind: bench.CPU, API: "cpu"}
	gpu := bench.Device{ID: "cuda:GPU-a", Kind: bench.GPU, API: "cuda"}
	both := bench.Inventory{Devices: []bench.Device{cpu, gpu}}
	alone := bench.Inventory{Devices: []bench.Device{cpu}, Missing: []bench.Missing{{API: "cuda", Kind: bench.GPU, Reason: "a CPU-only build", Fix: "another"}}}
	for _, tt := range []struct {
		found      bench.Inventory
		want, id   string
		says, hint string
	}{
		{both, "", gpu.ID, "", ""},
		{both, "cpu", "cpu", "", ""},
		{both, "gpu", gpu.ID, "", ""},
		{both, "cuda", gpu.ID, "", ""},
		{both, "mps", "", `torch has no device "mps"`, "there are: cpu, cuda"},
		{alone, "", "cpu", "", ""},
		{alone, "gpu", "", "torch has no device gpu: a CPU-only build", "another"},
		{alone, "cuda", "", "torch has no device cuda: a CPU-only build", "another"},
	} {
		d, err := pick(tt.found, "torch", tt.want)
		var e *bench.Error
		if errors.As(err, &e) != (tt.says != "") || d.ID != tt.id || e != nil && (e.Message != tt.says || e.Hint != tt.hint) {
			t.Errorf("--device %q: %q, %v", tt.want, d.ID, err)
		}
	}
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

func settings(t *testing.T) Settings {
	file := rows(t)
	return Settings{
		Train: file, Valid: file, Adapter: t.TempDir(), Batch: 2, Layers: 1, Rank: 4, Scale: 10, LR: 1e-2, Seed: 1,
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
	each(t, func(t *testing.T, r *Runtime, folder string) {
		for name, dora := range map[string]bool{"LoRA": false, "DoRA": true} {
			t.Run(name, func(t *testing.T) {
				m := open(t, r, folder, "")
				before, err := m.Generate(limit(t), request, nil)
				if err != nil {
					t.Fatal(err)
				}
				s := settings(t)
				s.DoRA = dora
				tuning, err := m.Tune(limit(t), s)
				if err != nil {
					t.Fatal(err)
				}
				if tuning.Rows != 8 || tuning.Longest != 50 || tuning.Cut != 0 || tuning.Layers != 1 || tuning.Trainable < 1000 {
					t.Errorf("tuning %+v", tuning)
				}
				var losses, held []float64
				var saved []int
				trained, stopped, err := m.Train(limit(t), 10, time.Minute, func(s Step) {
					switch {
					case s.Loss != nil:
						losses = append(losses, *s.Loss)
						if s.Iteration != len(losses) || math.Abs(s.LR-1e-2) > 1e-8 || s.Speed <= 0 || s.Tokens <= 0 || s.Peak <= 0 {
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
				if len(losses) != 10 || losses[9] > losses[0]/2 || held[len(held)-1] > held[0]/2 {
					t.Errorf("losses %.2f, on rows that are not trained on %.2f", losses, held)
				}
				if !slices.Equal(saved, []int{4, 8, 10}) {
					t.Errorf("saved at %v", saved)
				}
				if files := names(t, s.Adapter); len(files) != 3 || !slices.Contains(files, "adapter_config.json") {
					t.Errorf("the adapter is %v", files)
				}
				after, err := m.Generate(limit(t), request, nil)
				if err != nil || after.Text == before.Text {
					t.Errorf("it says %q after and before, %v", after.Text, err)
				}
				again, err := open(t, r, folder, s.Adapter).Generate(limit(t), request, nil)
				if err != nil || again.Text != after.Text {
					t.Errorf("the saved adapter says %q, the trained model %q, %v", again.Text, after.Text, err)
				}
			})
		}
	})
}

// A training that is stopped saves what it has, and is gone on with.
func TestTrainStopsAndResumes(t *testing.T) {
	each(t, func(t *testing.T, r *Runtime, folder string) {
		s := settings(t)
		m := open(t, r, folder, "")
		if _, err := m.Tune(limit(t), s); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(limit(t))
		trained, stopped, err := m.Train(ctx, 1_000_000, time.Minute, func(s Step) {
			if s.Iteration == 6 {
				cancel()
			}
		})
		if err != nil || !stopped || trained.Iterations < 6 {
			t.Fatalf("trained %+v, stopped %t, error %v", trained, stopped, err)
		}
		s.Resume, s.From = true, trained.Iterations
		next := open(t, r, folder, "")
		if _, err := next.Tune(limit(t), s); err != nil {
			t.Fatal(err)
		}
		var first Step
		again, _, err := next.Train(limit(t), 2, time.Minute, func(s Step) {
			if first.Loss == nil && s.Loss != nil {
				first = s
			}
		})
		if err != nil || again.Iterations != trained.Iterations+2 || first.Iteration != trained.Iterations+1 {
			t.Fatalf("went on to %+v, first %+v, error %v", again, first, err)
		}
		if *first.Loss > 3 { // a new adapter begins above 5
			t.Errorf("goes on with loss %.2f after %.2f", *first.Loss, *trained.Loss)
		}
	})
}
