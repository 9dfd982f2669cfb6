package llamacpp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
)

func TestParseDevices(t *testing.T) {
	// The first two are as b11434 printed them here; the others follow the same
	// printf with names from llama.cpp's issues.
	text := `Available devices:
  Vulkan0: llvmpipe (LLVM 15.0.6, 256 bits) (2048 MiB, 2048 MiB free)
  (none)
ggml_cuda_init: found 1 CUDA devices:
  CUDA0: NVIDIA GeForce RTX 4090 (24183 MiB, 23800 MiB free)
  CUDA11: NVIDIA GeForce RTX 4090 (24183 MiB, 23800 MiB free)
  MTL0: Apple M4 Max (110100 MiB, 110100 MiB free)
  BLAS: Accelerate (0 MiB, 0 MiB free)
  RPC0: 192.168.1.2:50052 (8192 MiB, 8000 MiB free)
`
	type row struct {
		name, device, api string
		kind              hardware.Kind
		memory            int64
		index             int // -1: none
	}
	var got []row
	for _, g := range parseDevices([]byte(text), "b1") {
		r := row{g.Name, g.Device.Name, g.Device.API, g.Device.Kind, 0, -1}
		if g.Device.Index != nil {
			r.index = *g.Device.Index
		}
		if g.Device.Memory != nil {
			r.memory = *g.Device.Memory >> 20
		}
		got = append(got, r)
	}
	want := []row{
		{"Vulkan0", "llvmpipe (LLVM 15.0.6, 256 bits)", "vulkan", hardware.SoftwareGPU, 2048, -1},
		{"CUDA0", "NVIDIA GeForce RTX 4090", "cuda", hardware.GPU, 24183, 0},
		{"CUDA11", "NVIDIA GeForce RTX 4090", "cuda", hardware.GPU, 24183, 11},
		{"MTL0", "Apple M4 Max", "metal", hardware.GPU, 110100, -1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}

func TestVersion(t *testing.T) {
	for in, want := range map[string]string{"4567 (abcdef12)": "b4567", "0.6.0-dev (build 0, commit unknown)": "0.6.0-dev"} {
		if got := version(in); got != want {
			t.Errorf("version(%q) = %q, want %q", in, got, want)
		}
	}
}

// As b11434 logged, with the GPU lines of a Vulkan build.
const loadLog = `0.00.825.998 I load_tensors: loading model tensors, this can take a while... (load_mode = mmap)
0.00.826.000 I load_tensors: offloading 18 repeating layers to GPU
0.00.826.001 I load_tensors: offloaded 19/19 layers to GPU
0.00.865.069 I load_tensors:   CPU_Mapped model buffer size =   170.00 MiB
0.00.865.125 I load_tensors:      Vulkan0 model buffer size =   235.00 MiB
0.00.901.790 I llama_context: Vulkan_Host  output buffer size =     1.00 MiB
0.00.901.950 I llama_kv_cache:    Vulkan0 KV buffer size =     3.00 MiB
0.00.947.948 I sched_reserve:    Vulkan0 compute buffer size =    20.50 MiB
0.00.947.949 I sched_reserve: CPU compute buffer size =    10.00 MiB
`

func TestServerLog(t *testing.T) {
	var l serverLog
	l.read(strings.NewReader(loadLog))
	if on, of := l.offloaded(); on == nil || of == nil || *on != 19 || *of != 19 {
		t.Errorf("offloaded %v of %v", on, of)
	}
	for device, mib := range map[string]float64{"Vulkan0": 258.5, "CPU": 180} {
		if got := l.memory(device); got == nil || *got != int64(mib*(1<<20)) {
			t.Errorf("%s has %v bytes, want %v MiB", device, got, mib)
		}
	}
	if got := l.memory("CUDA0"); got != nil {
		t.Errorf("a device that the log does not name has %d bytes", *got)
	}
	var other serverLog // a log of another form leaves all unknown
	other.read(strings.NewReader("loaded 19 of 19\nbuffer size = lots\nx: buffer size = 3 MiB\noffloaded some/all layers to GPU\nno end"))
	if on, of := other.offloaded(); on != nil || of != nil || other.memory("CPU") != nil {
		t.Error("made facts of a log that has none")
	}
}

func TestLastWords(t *testing.T) {
	for log, want := range map[string]string{
		"0.00.041.179 I srv    load_model: loading\n0.00.041.373 E gguf_init: invalid magic characters\n0.00.05.1 E srv  exiting\n": "gguf_init: invalid magic characters",
		"some\nlast \x1b[31mwords\n\n":              "last ^[[31mwords",
		"a line of WARN E style with E inside\nend": "end",
		"": "",
	} {
		if got := lastWords(log); got != want {
			t.Errorf("last words of %q: %q, want %q", log, got, want)
		}
	}
}

// How to fix it follows from a program's last words.
func TestEnded(t *testing.T) {
	for words, tt := range map[string]struct {
		code fault.Code
		says string
	}{
		"ggml_vulkan: Device memory allocation failed: Out of Memory": {fault.OutOfMemory, "try a smaller model; fewer layers on the GPU with ngl; a smaller ctx"},
		"unknown model architecture: 'gemma9'":                        {fault.Crashed, "a newer llama.cpp may know it: gpuplay setup llama.cpp"},
		"":                                                            {fault.Crashed, ""},
	} {
		e := ended("loading the model", &os.ProcessState{}, words)
		if e.Code != tt.code || e.Remedies.String() != tt.says || !strings.Contains(e.Message, words) {
			t.Errorf("%q: %s, %q, %q", words, e.Code, e.Message, e.Remedies)
		}
	}
	if e := ended("listing devices", nil, ""); e.Code != fault.Unavailable || e.Message != "llama.cpp did not start, for listing devices" {
		t.Errorf("not started: %s, %q", e.Code, e.Message)
	}
	e := serverError{Type: "exceed_context_size_error", Prompt: 700, Context: 512}.error(0)
	code(t, e, fault.Invalid, "the prompt has 700 tokens, the context 512", "a larger context: ctx 1280")
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	program := func(parts ...string) string {
		path := filepath.Join(append([]string{dir}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+suffix, []byte("#!/bin/sh\necho 'version: 4567 (abcdef)' >&2\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path + suffix
	}
	if suffix != "" {
		t.Skip("shell scripts are no programs on Windows")
	}
	source := program("checkout", "build", "bin", "llama-server")
	bench1 := program("checkout", "build", "bin", "llama-bench")
	program("checkout", "build", "bin", "libggml-vulkan.so.0")
	wheel := program("venv", "bin", "llama-server-vulkan")
	never := func(string) (string, error) { return "", os.ErrNotExist }
	for name, tt := range map[string]struct {
		search Search
		want   Installation
	}{
		"a checkout":  {Search{Dir: filepath.Join(dir, "checkout")}, Installation{source, bench1, "b4567", []string{"Vulkan"}}},
		"a program":   {Search{Dir: wheel}, Installation{Server: wheel, Version: "b4567", Backends: []string{"Vulkan"}}},
		"a variable":  {Search{Variable: filepath.Join(dir, "venv")}, Installation{Server: wheel, Version: "b4567", Backends: []string{"Vulkan"}}},
		"the path":    {Search{LookPath: func(string) (string, error) { return source, nil }}, Installation{source, bench1, "b4567", []string{"Vulkan"}}},
		"some places": {Search{LookPath: never, Places: []string{filepath.Join(dir, "no"), filepath.Join(dir, "venv")}}, Installation{Server: wheel, Version: "b4567", Backends: []string{"Vulkan"}}},
	} {
		got, err := tt.search.Find(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err := Search{Dir: dir}.Find(t.Context())
	code(t, err, fault.Unavailable, "there is no llama-server in "+dir+", nor in its bin or build/bin", "llama-cpp names the folder", "gpuplay setup llama.cpp gets one")
	_, err = Search{Variable: dir}.Find(t.Context())
	code(t, err, fault.Unavailable, "GPUPLAY_LLAMA_CPP: there is no llama-server in "+dir)
	_, err = Search{LookPath: never}.Find(t.Context())
	code(t, err, fault.Unavailable, "was not found", "gpuplay setup llama.cpp")
}

// A llama-server that says nothing of itself, since a GPU's driver hangs, is given up.
func TestHangs(t *testing.T) {
	if suffix != "" {
		t.Skip("shell scripts are no programs on Windows")
	}
	defer func(d time.Duration) { outputLimit = d }(outputLimit)
	outputLimit = 100 * time.Millisecond
	server := filepath.Join(t.TempDir(), "llama-server")
	if err := os.WriteFile(server, []byte("#!/bin/sh\nsleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Search{Dir: server}.Find(t.Context())
	code(t, err, fault.Timeout, server+" --version took longer than 100 ms", "gpuplay doctor")
	_, err = Installation{Server: server}.GPUs(t.Context(), nil)
	code(t, err, fault.Timeout, server+" --list-devices took longer than 100 ms", "gpuplay doctor")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Installation{Server: server}).GPUs(ended, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// llama-server writes null for a logarithm that is no number: it is none then, and the
// text stays.
func TestStreamOfNoNumbers(t *testing.T) {
	const stream = `data: {"content":"Hi","completion_probabilities":[{"id":5,"top_logprobs":[{"id":5,"logprob":null},{"id":6,"logprob":-0.5}]}]}` + "\n\n" +
		`data: {"stop":true,"stop_type":"limit","timings":{"prompt_n":3,"prompt_ms":1.5,"predicted_n":1,"predicted_ms":0.1}}` + "\n\n"
	var g llm.Generation
	if err := (&server{}).stream(strings.NewReader(stream), time.Now(), &g, true, nil); err != nil {
		t.Fatal(err)
	}
	half := -0.5
	want := []llm.Token{{ID: 5, Candidates: []llm.Candidate{{ID: 5}, {ID: 6, LogProb: &half}}}}
	if d := cmp.Diff(want, g.Sequence); d != "" || g.Text != "Hi" {
		t.Errorf("%q, %s", g.Text, d)
	}
}

// What a server could send: nothing of it panics, and no figure is made of what is
// no end.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		`data: {"content":"Hi","tokens":[1],"stop":false}` + "\n\n" + `data: {"content":"","stop":true,"stop_type":"limit","timings":{"prompt_n":3,"prompt_ms":1.5,"predicted_n":1,"predicted_ms":0.1}}` + "\n\n",
		`data: {"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":4}}` + "\n",
		"data: [DONE]\n", "data: {\"content\":\"\\u001b[2J", ": a comment\n\nevent: x\n", `data: {"stop":true}` + "\n", `data: {"stop":true,"timings":{"prompt_ms":-1}}`,
		`data: {"completion_probabilities":[{"id":5,"top_logprobs":[{"id":5,"logprob":null}]}]}` + "\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var g llm.Generation
		var shown strings.Builder
		err := (&server{}).stream(strings.NewReader(text), time.Now(), &g, true, func(p llm.Piece) { shown.WriteString(p.Text) })
		if g.Text != shown.String() {
			t.Errorf("kept %q, shown %q", g.Text, shown.String())
		}
		if err != nil && (g.PromptTime != 0 || g.Finish != "") {
			t.Errorf("error %v and yet %+v", err, g)
		}
	})
}
