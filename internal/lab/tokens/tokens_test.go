package tokens

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/llamacpp"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
)

// fakeRuntime answers at once with made-up times; the tests of llamacpp, ollama and
// framework run the real ones.
type fakeRuntime struct {
	gpu  error         // of loading a layer onto the GPU
	host string        // another machine that computes
	per  time.Duration // a token takes
	ask  func()        // if not nil, is called before an answer
}

type fakeSession struct {
	fakeRuntime
	settings llm.Settings
}

func (f fakeRuntime) Name() string { return "fake" }

func (f fakeRuntime) Load(_ context.Context, _ string, s llm.Settings) (llm.Session, error) {
	if s.Layers > 0 && f.gpu != nil {
		return nil, f.gpu
	}
	return fakeSession{f, s}, nil
}

// Facts has no CPU, whose limits would take their time to measure.
func (s fakeSession) Facts() llm.Facts {
	d := hardware.Device{ID: "soft", Name: "A software GPU", Kind: hardware.SoftwareGPU}
	if s.settings.Layers > 0 {
		d = hardware.Device{ID: "cuda:GPU-a", Name: "A GPU", Kind: hardware.GPU, API: "cuda", UUID: "GPU-a"}
	}
	return llm.Facts{Host: s.host, Device: d, Runtime: "fake 1", Load: time.Second, Context: s.settings.Context}
}

func (s fakeSession) Generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (llm.Generation, error) {
	if s.ask != nil {
		s.ask()
	}
	if err := ctx.Err(); err != nil {
		return llm.Generation{}, err
	}
	likely := -0.1
	per := s.per / time.Duration(1+s.settings.Layers)
	prompt := 5 + r.Filler
	g := llm.Generation{
		PromptTokens: prompt, PromptTime: per * time.Duration(prompt), Tokens: r.Tokens, TokenTime: per * time.Duration(r.Tokens-1),
		First: per * time.Duration(prompt), Wall: time.Millisecond,
	}
	for range r.Tokens {
		g.Text += " a"
		if each != nil {
			each(llm.Piece{Text: " a"})
		}
		if r.Candidates > 0 {
			g.Sequence = append(g.Sequence, llm.Token{ID: 1, Text: " a", Candidates: []llm.Candidate{{ID: 1, Text: " a", LogProb: &likely}}})
		}
	}
	return g, nil
}

func (fakeSession) Close() error { return nil }

// Benchmark makes the fake a bencher.
func (fakeRuntime) Benchmark(_ context.Context, _ string, s llm.Settings, repeat int) ([]llm.PeerResult, error) {
	if s.Layers > 0 {
		return nil, errors.New("no such device")
	}
	return []llm.PeerResult{{Name: "tg128", Tokens: 128, Samples: slices.Repeat([]time.Duration{time.Second}, repeat)}}, nil
}

var options = Options{Prompt: "Hi", Tokens: 8, Repeat: 6, Budget: time.Minute, Timeout: time.Minute}

var deps = lab.Deps{Program: record.Program{Version: "1", Go: "go1"}, Command: []string{"gpuplay", "llm"}}

// run measures a fake runtime and returns the record with the events.
func run(ctx context.Context, d lab.Deps, o Options, rt chosen) (*record.Run, []event.Event) {
	var events []event.Event
	s := event.NewStream("r1", nil)
	s.Subscribe(func(e event.Event) { events = append(events, e) })
	r := d.Begin(ctx, s, record.LLM)
	r.Cards = []hardware.Card{{Name: "Another GPU", UUID: "GPU-b", PCI: "0000:01:00.0"}}
	measureLanes(ctx, d, o, model.Model{Ref: "m", Name: "M", Bytes: 1000}, rt, r, s)
	r = d.Finish(ctx, s, r)
	s.Close()
	return r, events
}

func notes(events []event.Event) string {
	var all []string
	for _, e := range events {
		if n, ok := e.Data.(event.Note); ok {
			all = append(all, n.Text)
		}
	}
	return strings.Join(all, "\n")
}

// What a run tells is what its record holds, and the record is read back as it is.
func TestMeasure(t *testing.T) {
	rt := fakeRuntime{per: time.Millisecond}
	r, events := run(t.Context(), deps, options, chosen{Runtime: rt, mayHaveGPU: true, bench: rt, gpu: hardware.Device{Name: "A GPU"}})
	results := r.Tokens.Results
	if len(results) != 2 || results[0].Lane != "fake/cpu" || results[1].Lane != "fake/gpu/99" || !results[1].Verified() || !results[0].Round {
		t.Fatalf("results %+v", results)
	}
	if card := results[1].Facts.Device.Card; card == nil || *card != 1 || len(r.Cards) != 2 {
		t.Errorf("the GPU is on card %v of %+v", card, r.Cards)
	}
	told := map[string][]llm.Sample{}
	lanes := map[string]event.Lane{}
	for _, e := range events {
		switch d := e.Data.(type) {
		case llm.Sample:
			told[e.Lane] = append(told[e.Lane], d)
		case event.Lane:
			lanes[e.Lane] = d
		}
	}
	for _, res := range results {
		if d := cmp.Diff(res.Samples, told[res.Lane]); d != "" || len(res.Samples) != 6 {
			t.Errorf("%s: samples in the record and told: %s", res.Lane, d)
		}
		if lanes[res.Lane].Name != res.Name || lanes[res.Lane].Engine != "fake" {
			t.Errorf("%s was announced as %+v", res.Lane, lanes[res.Lane])
		}
	}
	if lanes["fake/gpu/99"].Device != "A GPU" || lanes["fake/cpu"].Device != r.Machine.CPU {
		t.Errorf("lanes %+v", lanes)
	}
	if events[0].Type != event.TypeBegin || events[len(events)-1].Data != event.Data(r) {
		t.Errorf("the stream begins with %s and ends with %s", events[0].Type, events[len(events)-1].Type)
	}
	want := []record.Peer{{Lane: "fake/cpu", Name: "llama-bench", Results: []llm.PeerResult{{Name: "tg128", Tokens: 128, Samples: slices.Repeat([]time.Duration{time.Second}, 6)}}}}
	if d := cmp.Diff(want, r.Tokens.Peers); d != "" {
		t.Error(d)
	}
	if got, want := notes(events), "llama-bench: CPU\nllama-bench: GPU\nllama-bench: no such device"; got != want {
		t.Errorf("notes %q, want %q", got, want)
	}
	if r.Tokens.Limits != nil {
		t.Error("limits of a CPU that was not measured")
	}
	labtest.ReadsBack(t, r)
}

// A GPU that is missing is a line where nobody asked for it, and a failed lane where
// somebody did.
func TestMissingGPU(t *testing.T) {
	none := fault.Errorf(fault.Unavailable, "fake has no device gpu: a CPU-only build").With(fault.Run("", "gpuplay", "setup", "fake"))
	rt := chosen{Runtime: fakeRuntime{gpu: none, per: time.Millisecond}, mayHaveGPU: true}
	r, _ := run(t.Context(), deps, options, rt)
	want := []record.Missing{{Engine: "fake", API: "gpu", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "No GPU lane: fake has no device gpu: a CPU-only build.", Remedies: none.Remedies}}
	if d := cmp.Diff(want, r.Missing); d != "" || len(r.Tokens.Results) != 1 {
		t.Errorf("%d results, missing %s", len(r.Tokens.Results), d)
	}
	named := options
	named.Layers = []int{0, 5}
	r, _ = run(t.Context(), deps, named, rt)
	if len(r.Missing) > 0 || len(r.Tokens.Results) != 2 || r.Tokens.Results[1].Error == nil || r.Tokens.Results[1].Name != "GPU, 5 layers" {
		t.Errorf("asked for: missing %+v, results %+v", r.Missing, r.Tokens.Results)
	}
	// Any other error is a failed lane.
	rt.Runtime = fakeRuntime{gpu: fault.Errorf(fault.OutOfMemory, "too big"), per: time.Millisecond}
	r, _ = run(t.Context(), deps, options, rt)
	if len(r.Missing) > 0 || len(r.Tokens.Results) != 2 {
		t.Errorf("out of memory: missing %+v, %d results", r.Missing, len(r.Tokens.Results))
	}
}

// An interrupted run has what was measured, and says so.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	rt := fakeRuntime{per: time.Millisecond, ask: func() {
		if asked++; asked == 12 {
			cancel()
		}
	}}
	r, _ := run(ctx, deps, options, chosen{Runtime: rt, mayHaveGPU: true, bench: rt})
	if !r.Interrupted || len(r.Tokens.Results) != 2 || len(r.Tokens.Results[0].Samples) == 0 || len(r.Tokens.Results[0].Samples) == 6 || len(r.Tokens.Peers) > 0 {
		t.Errorf("%+v", r.Tokens)
	}
	for _, res := range r.Tokens.Results {
		if !res.Has(measure.Interrupted) || res.Error != nil {
			t.Errorf("%s: %v, %v", res.Lane, res.Warnings, res.Error)
		}
	}
}

// Where the model does not fit into memory twice, lanes are measured one after the
// other, and the run says so.
func TestOneAfterTheOther(t *testing.T) {
	d := deps
	rt := chosen{Runtime: fakeRuntime{per: time.Millisecond}, mayHaveGPU: true}
	for _, tt := range []struct {
		free  int64
		sweep bool
		turns bool
		note  bool
	}{{1 << 30, false, true, false}, {0, false, true, false}, {2500, false, false, true}, {1 << 30, true, false, false}} {
		d.Free = func() int64 { return tt.free }
		o := options
		o.Sweep, o.Bench = tt.sweep, Never
		r, events := run(t.Context(), d, o, rt)
		if r.Tokens.Results[0].Round != tt.turns || strings.Contains(notes(events), "does not fit into memory twice") != tt.note || r.Tokens.Layers != tt.sweep {
			t.Errorf("%+v: in turns %v, notes %q", tt, r.Tokens.Results[0].Round, notes(events))
		}
	}
}

func TestPeers(t *testing.T) {
	slow := fakeRuntime{per: 100 * time.Millisecond} // llama-bench would take minutes
	for _, tt := range []struct {
		bench Bench
		peers int
		note  string
	}{
		{Auto, 0, "llama-bench left out for CPU: it would take about 448 s; set bench to always to have it"},
		{Always, 1, "llama-bench: CPU"},
		{Never, 0, ""},
	} {
		o := options
		o.Bench, o.Layers = tt.bench, []int{0}
		r, events := run(t.Context(), deps, o, chosen{Runtime: slow, bench: slow})
		if len(r.Tokens.Peers) != tt.peers || notes(events) != tt.note {
			t.Errorf("%s: peers %+v, notes %q, want %q", tt.bench, r.Tokens.Peers, notes(events), tt.note)
		}
	}
}

func TestLanes(t *testing.T) {
	for name, tt := range map[string]struct {
		layers []int
		sweep  bool
		gpu    bool
		all    int // layers that the model has
		want   string
	}{
		"usual":                {nil, false, true, 19, "fake/cpu CPU, fake/gpu/99 GPU"},
		"usual, no GPU":        {nil, false, false, 19, "fake/cpu CPU"},
		"named":                {[]int{0, 1, 5, 0, 120}, false, true, 19, "fake/cpu CPU, fake/gpu/1 GPU, 1 layer, fake/gpu/5 GPU, 5 layers, fake/gpu/120 GPU"},
		"named, no GPU":        {[]int{5}, false, false, 19, "fake/gpu/5 GPU, 5 layers"},
		"a sweep":              {nil, true, true, 19, "fake/cpu CPU, fake/gpu/4 GPU, 4 layers, fake/gpu/8 GPU, 8 layers, fake/gpu/11 GPU, 11 layers, fake/gpu/15 GPU, 15 layers, fake/gpu/19 GPU, 19 layers"},
		"a sweep, no GPU":      {nil, true, false, 19, "fake/cpu CPU"},
		"a small model":        {nil, true, true, 2, "fake/cpu CPU, fake/gpu/1 GPU, 1 layer, fake/gpu/2 GPU, 2 layers"},
		"a sweep of not known": {nil, true, true, 0, "fake/cpu CPU, fake/gpu/4 GPU, 4 layers, fake/gpu/8 GPU, 8 layers, fake/gpu/16 GPU, 16 layers, fake/gpu/32 GPU, 32 layers, fake/gpu/99 GPU"},
	} {
		o := options
		o.Layers, o.Sweep = tt.layers, tt.sweep
		var got []string
		for _, l := range o.lanes(chosen{Runtime: fakeRuntime{}, mayHaveGPU: tt.gpu}, model.Model{Layers: tt.all}) {
			got = append(got, l.ID+" "+l.Name)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %s\nwant %s", name, strings.Join(got, ", "), tt.want)
		}
	}
}

// The context is what prompt and answer need, within what the model was made for.
func TestContext(t *testing.T) {
	for _, tt := range []struct{ asked, prompt, tokens, most, want int }{
		{0, 10, 64, 0, 1024}, {0, 4000, 64, 0, 2304}, {0, 4000, 64, 2048, 2048}, {256, 4000, 64, 2048, 256},
	} {
		o := Options{Context: tt.asked, Prompt: strings.Repeat("a", tt.prompt), Tokens: tt.tokens, Layers: []int{0}}
		if got := o.lanes(chosen{Runtime: fakeRuntime{}}, model.Model{Context: tt.most})[0].Settings.Context; got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

// Lanes on two devices compute in one type.
func TestDevices(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want int
	}{{Options{}, 2}, {Options{Sweep: true}, 2}, {Options{Layers: []int{99, 0}}, 2}, {Options{Layers: []int{0}}, 1}, {Options{Layers: []int{5, 99}}, 1}} {
		if got := tt.o.devices(); got != tt.want {
			t.Errorf("%+v: %d devices", tt.o, got)
		}
	}
}

// Long prompts fit into a small context.
func TestSmallContext(t *testing.T) {
	o := options
	o.Context, o.Bench = 128, Never
	r, _ := run(t.Context(), deps, o, chosen{Runtime: fakeRuntime{per: time.Millisecond}})
	if got := r.Tokens.Results[0]; got.Filler != 64 || got.Samples[0].PromptTokens != 5+64 {
		t.Errorf("long prompts of %d tokens, %+v", got.Filler, got.Samples)
	}
}

func TestCheck(t *testing.T) {
	if err := options.Check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Options){
		"tokens 0: at least 1 is needed":   func(o *Options) { o.Tokens = 0 },
		"repeat 0: at least 1 is needed":   func(o *Options) { o.Repeat = 0 },
		"threads -1: at least 0 is needed": func(o *Options) { o.Threads = -1 },
		"ctx -1: at least 0 is needed":     func(o *Options) { o.Context = -1 },
		"time 0s: must be more than 0":     func(o *Options) { o.Budget = 0 },
		"timeout 0s: must be more than 0":  func(o *Options) { o.Timeout = 0 },
		"the prompt is empty":              func(o *Options) { o.Prompt = "" },
		"layers on the GPU are 0 or more":  func(o *Options) { o.Layers = []int{-1} },
		"a sweep chooses the layers itself": func(o *Options) {
			o.Sweep, o.Layers = true, []int{0}
		},
		"ollama chooses the GPU itself":           func(o *Options) { o.Runtime, o.Device = model.Ollama, "cuda:1" },
		"torch computes all layers on one device": func(o *Options) { o.Runtime, o.Sweep = model.Torch, true },
		"mlx does not use llama.cpp":              func(o *Options) { o.Runtime, o.LlamaCPP = model.MLX, "folder" },
		"mlx has no llama-bench":                  func(o *Options) { o.Runtime, o.Bench = model.MLX, Always },
		"llama.cpp does not use Python":           func(o *Options) { o.Runtime, o.Python = model.LlamaCpp, "python3" },
	} {
		o := options
		change(&o)
		err := o.Check()
		if !errors.Is(err, fault.Invalid) || err.Error() != says || len(fault.From(err).Remedies) == 0 {
			t.Errorf("error %v, want %s", err, says)
		}
		if _, err := Run(t.Context(), deps, o, event.NewStream("r1", nil)); err == nil || err.Error() != says {
			t.Errorf("Run: error %v, want %s", err, says)
		}
	}
}

// The GPU that was named reaches the framework, whether the runtime was named too or
// follows from the model; what a model's runtime ignores is refused.
func TestRuntimeFor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("shell scripts are no programs on Windows")
	}
	folder := t.TempDir()
	python := filepath.Join(folder, ".venv-torch", "bin", "python") // has every module
	if err := errors.Join(os.MkdirAll(filepath.Dir(python), 0o755), os.WriteFile(python, []byte("#!/bin/sh\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	d := lab.Deps{Catalog: &catalog.Catalog{Env: catalog.Environment{Folder: folder}}}
	m := model.Model{Format: model.Safetensors, Runtimes: []string{model.Torch}}
	for _, name := range []string{model.Torch, ""} {
		o := Options{Runtime: name, Device: "cuda:1"}
		rt, err := runtimeFor(t.Context(), d, o, m, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := rt.Runtime.(*framework.Runtime); !ok || f.GPU != "cuda:1" {
			t.Errorf("runtime %q: %+v", name, rt.Runtime)
		}
		o.Sweep = true
		if _, err := runtimeFor(t.Context(), d, o, m, nil, nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("runtime %q: a sweep where layers are not split: %v", name, err)
		}
	}
	_, err := runtimeFor(t.Context(), d, Options{Python: python}, model.Model{Format: model.GGUF}, nil, nil)
	if !errors.Is(err, fault.Invalid) {
		t.Errorf("a Python for llama.cpp: %v", err)
	}
}

func TestPick(t *testing.T) {
	gpus := []llamacpp.GPU{{Name: "CUDA0"}, {Name: "CUDA1"}}
	for _, tt := range []struct {
		gpus       []llamacpp.GPU
		backends   []string
		name, want string
		says, how  string
	}{
		{gpus, nil, "", "CUDA0", "", ""},
		{gpus, nil, "cuda1", "CUDA1", "", ""},
		{nil, nil, "", "", "", ""},
		{gpus, nil, "CUDA9", "", "llama.cpp has no device CUDA9", "did you mean CUDA0? there are: CUDA0, CUDA1"},
		{nil, nil, "CUDA0", "", "llama.cpp has no device CUDA0: it lists none", "gpuplay setup llama.cpp gets a build for the GPU that is here"},
		{nil, []string{"Vulkan"}, "Vulkan0", "", "llama.cpp has no device Vulkan0: it lists none", "gpuplay doctor says what is missing"},
	} {
		g, err := pick(tt.gpus, tt.name, llamacpp.Installation{Backends: tt.backends})
		got := ""
		if g != nil {
			got = g.Name
		}
		if got != tt.want || (err != nil) != (tt.says != "") || err != nil && (err.Error() != tt.says || fault.From(err).Remedies.String() != tt.how) {
			t.Errorf("%q of %v: %q, %v (%s)", tt.name, tt.gpus, got, err, fault.From(err).Remedies)
		}
	}
}

// llama.cpp tells no address of a card: its name or CUDA's number must do.
func TestCard(t *testing.T) {
	gpu := func(name, api string, index int) hardware.Device {
		d := hardware.Device{Name: name, Kind: hardware.GPU, API: api}
		if index >= 0 {
			d.Index = &index
		}
		return d
	}
	two := []hardware.Card{{Number: 0, Name: "Iris", PCI: "0000:00:02.0", Vendor: "intel"}, {Number: 1, Name: "RTX 4090", UUID: "GPU-a", PCI: "0000:01:00.0", Vendor: "nvidia"}, {Number: 2, Name: "RTX 4090", UUID: "GPU-b", PCI: "0000:02:00.0", Vendor: "nvidia"}}
	for name, tt := range map[string]struct {
		device hardware.Device
		cards  []hardware.Card
		env    []string
		want   int // -1: not known
	}{
		"by its name":           {gpu("Iris", "vulkan", -1), two, nil, 0},
		"by CUDA's number":      {gpu("RTX 4090", "cuda", 1), two, []string{"CUDA_DEVICE_ORDER=PCI_BUS_ID"}, 2},
		"some are hidden":       {gpu("RTX 4090", "cuda", 1), two, []string{"CUDA_VISIBLE_DEVICES=1,0"}, -1},
		"two of a name":         {gpu("RTX 4090", "vulkan", -1), two, nil, -1},
		"more than there are":   {gpu("RTX 4090", "cuda", 7), two, nil, -1},
		"Apple's":               {gpu("Apple M4", "metal", -1), []hardware.Card{{Name: "M4"}}, nil, 0},
		"a software GPU's none": {hardware.Device{Name: "Iris", Kind: hardware.SoftwareGPU}, two, nil, -1},
	} {
		got := -1
		if n := card(tt.device, tt.cards, tt.env); n != nil {
			got = *n
		}
		if got != tt.want {
			t.Errorf("%s: card %d, want %d", name, got, tt.want)
		}
	}
}

// What another machine computes is not under the limits of this one's CPU, nor on one of
// its cards.
func TestRemote(t *testing.T) {
	const host = "192.0.2.7:11434"
	r, events := run(t.Context(), deps, options, chosen{Runtime: fakeRuntime{per: time.Millisecond, host: host}, mayHaveGPU: true, host: host})
	if card := r.Tokens.Results[1].Facts.Device.Card; card != nil || len(r.Cards) != 1 {
		t.Errorf("the GPU is on card %v of %+v", card, r.Cards)
	}
	for _, e := range events {
		if l, ok := e.Data.(event.Lane); ok && l.Device != host {
			t.Errorf("announced as %+v", l)
		}
	}
	s := event.NewStream("r1", nil)
	defer s.Close()
	remote := &llm.Result{Facts: llm.Facts{Host: host, Device: hardware.Device{Kind: hardware.CPU}}, Samples: []llm.Sample{{Tokens: 2}}}
	if l := limits(t.Context(), s, 1, []*llm.Result{remote}); l != nil {
		t.Errorf("limits %+v", l)
	}
}

// Limits are measured where a lane ran on the CPU.
func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures memory")
	}
	cpu := &llm.Result{Facts: llm.Facts{Device: hardware.Device{Kind: hardware.CPU}}, Samples: []llm.Sample{{Tokens: 2}}}
	s := event.NewStream("r1", nil)
	defer s.Close()
	l := limits(t.Context(), s, 1, []*llm.Result{cpu})
	if l == nil || l.Bandwidth == nil || *l.Bandwidth < 1e8 {
		t.Errorf("limits %+v", l)
	}
	elsewhere := *cpu
	elsewhere.Warnings.Add(measure.NotOnGPU, "not there")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if limits(t.Context(), s, 1, []*llm.Result{&elsewhere, {}}) != nil || limits(ctx, s, 1, []*llm.Result{cpu}) != nil {
		t.Error("limits of a CPU that was not measured, or after the end")
	}
}

func TestGenerateCheck(t *testing.T) {
	for says, o := range map[string]GenerateOptions{
		"0 tokens: at least 1 is needed":   {Prompt: "Hi"},
		"the prompt is empty":              {Prompt: " \n", Tokens: 1},
		"-1 threads: at least 1 is needed": {Prompt: "Hi", Tokens: 1, Language: lab.Language{Threads: -1}},
	} {
		if _, err := Generate(t.Context(), deps, o, event.NewStream("r1", nil)); !errors.Is(err, fault.Invalid) || err.Error() != says {
			t.Errorf("error %v, want %s", err, says)
		}
	}
}
