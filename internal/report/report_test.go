package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// The figures below are made up: they exercise the layout and say nothing of the
// devices' speed.

func result(d hardware.Device, speed float64, change ...func(*bench.Result)) *bench.Result {
	g := bench.Square(4096, matrix.Float32)
	r := &bench.Result{
		Engine: "engine", Device: d, GEMM: g, Seed: 1, Protocol: bench.Steady,
		Start: 20 * time.Millisecond, Prepare: 30 * time.Millisecond, First: 15 * time.Millisecond,
		Check: &matrix.Check{Passed: true, Error: ptr(2.5e-6), Bound: 3.1e-5, Arithmetic: "float32"},
	}
	for i := range 12 {
		wiggle := 1 + 0.004*float64(i*5%12-6)/6
		r.Samples = append(r.Samples, bench.Sample{Iters: 2, Wall: time.Duration(2 * g.FLOP() / speed * wiggle * 1e9)})
	}
	for _, c := range change {
		c(r)
	}
	return r
}

func ptr[T any](x T) *T { return &x }

func peak(p float64) func(*bench.Result) { return func(r *bench.Result) { r.Facts.Peak = &p } }

func ready(d time.Duration) func(*bench.Result) { return func(r *bench.Result) { r.Start = d } }

func first(n int) func(*bench.Result) { return func(r *bench.Result) { r.Samples = r.Samples[:n] } }

func named(engine string) func(*bench.Result) { return func(r *bench.Result) { r.Engine = engine } }

func broken(code fault.Code, message, hint string) func(*bench.Result) {
	return func(r *bench.Result) {
		r.Samples, r.Check = []bench.Sample{}, nil
		r.Error, r.Stage = &fault.Error{Code: code, Message: message, Remedies: fault.Advice(hint)}, bench.Preparing
	}
}

func warned(code bench.WarningCode, text string) func(*bench.Result) {
	return func(r *bench.Result) { r.Warnings = append(r.Warnings, bench.Warning{Code: code, Text: text}) }
}

// integer makes a result one of int8; vectorProduct one of a matrix and a vector,
// at the speed that it had.
func integer(r *bench.Result) {
	r.GEMM = bench.Square(4096, matrix.Int8)
	if r.Check != nil {
		r.Check = &matrix.Check{Passed: true, Error: ptr(0.0), Arithmetic: "int32"}
	}
}

func vectorProduct(r *bench.Result) {
	before := r.GEMM.FLOP()
	r.GEMM.N = 1
	for i := range r.Samples {
		r.Samples[i].Wall = time.Duration(float64(r.Samples[i].Wall) * r.GEMM.FLOP() / before)
	}
}

func device(kind hardware.Kind, name, api, library, version, detail string) hardware.Device {
	return hardware.Device{ID: api + ":0", Name: name, Kind: kind, API: api, Library: library, Version: version, Detail: detail}
}

const (
	chip = "Example CPU 9000"
	card = "Example GPU X"
)

var (
	builtIn = device(hardware.CPU, chip, "cpu", "gpuplay", "", "built in, AVX-512")
	blas    = device(hardware.CPU, chip, "openblas", "OpenBLAS", "0.3.34.481.3", "Zen kernels")
	torch   = device(hardware.CPU, chip, "cpu", "PyTorch", "2.15.0", "eager")
	cuda    = device(hardware.GPU, card, "cuda", "PyTorch", "2.15.0", "eager")
	vulkan  = device(hardware.SoftwareGPU, "llvmpipe", "vulkan", "Vulkan", "1.4", "")
)

func document(results ...*bench.Result) *Document {
	return &Document{
		Schema: Schema, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Program: Program{Version: "0.1.0", Commit: "0123abc", Go: "go1.26.0"}, Command: []string{"gpuplay"},
		Machine: host.Machine{OS: "linux", Arch: "amd64", CPU: chip, Cores: 16, Memory: ptr(uint64(64e9))},
		Results: results, Race: true,
	}
}

// documents are what golden files exist for.
func documents() map[string]*Document {
	gpu := document(
		result(cuda, 25.1e12, ready(2200*time.Millisecond), named("torch")),
		result(torch, 0.95e12, ready(2140*time.Millisecond), named("torch")),
		result(builtIn, 1.01e12, peak(1.1e12), named("gocpu")),
		result(blas, 0.97e12, named("blas")),
	)
	gpu.Next = "gpuplay race --dtype bfloat16   what half the bits bring"

	cpu := document(
		result(torch, 95e9, ready(2140*time.Millisecond), named("torch")),
		result(builtIn, 101e9, peak(110e9), named("gocpu")),
		result(blas, 101.1e9, named("blas")),
	)
	cpu.NotRaced = []NotRaced{
		{Engine: "torch", API: "cuda", Kind: hardware.GPU, Code: fault.Unavailable, Reason: "PyTorch 2.15.0 is a CPU-only build", Remedies: fault.Advice("pip install torch")},
		{Engine: "blas", API: "mkl", Kind: hardware.CPU, Code: fault.Unavailable, Reason: "no libmkl_rt.so.3", Remedies: fault.Advice("pip install mkl")},
		{Engine: "jax", Code: fault.Unavailable, Reason: "JAX is not installed", Remedies: fault.Advice("pip install jax")},
	}

	troubled := document(
		result(builtIn, 1.01e12, peak(1.1e12), named("gocpu"), warned(bench.WarnNoise, "noisy: something else uses this machine, or its clock changes")),
		result(torch, 0.95e12, broken(fault.Crashed, "ended by signal 6 (aborted) while preparing: “a library's last words, which can be quite long”", "")),
		result(blas, 0.97e12, broken(fault.OutOfMemory, "too big: 32768³ in float32 needs 12.9 GB of memory, 9.00 GB can be had", "the largest size that fits: --size 27392")),
		result(cuda, 180e12, func(r *bench.Result) { r.Check.Passed, r.Check.Arithmetic = false, "tf32" },
			warned(bench.WarnArithmetic, "computed as tf32, not float32: error 2.9e-04 where at most 3.1e-05 is expected")),
		result(vulkan, 0.011e12, warned(bench.WarnSoftwareGPU, "a CPU does the work behind this GPU interface"), func(r *bench.Result) {
			r.Samples = r.Samples[:3]
			r.GEMM = bench.Square(512, matrix.Float32)
			r.Warnings = append(r.Warnings, bench.Warning{Code: bench.WarnFewSamples, Text: "3 samples only: one product takes 24.4 ms"})
		}),
	)
	integers := document(
		result(torch, 0.2e12, ready(2140*time.Millisecond), named("torch"), integer),
		result(builtIn, 3.1e12, peak(3.4e12), named("gocpu"), integer),
		result(blas, 1, broken(fault.Unsupported, "OpenBLAS multiplies float32 and float64, not int8 summed in int32 to int32", ""), named("blas"), integer),
	)
	vector := document(
		result(builtIn, 9.8e9, peak(1.1e12), named("gocpu"), vectorProduct),
		result(cuda, 1.6e12, named("torch"), vectorProduct),
		result(blas, 9.7e9, broken(fault.Crashed, "ended by signal 6 (aborted) while preparing", ""), named("blas"), vectorProduct),
	)
	vector.Race = false
	return map[string]*Document{"gpu": gpu, "cpu": cpu, "troubled": troubled, "int8": integers, "vector": vector}
}

func TestTable(t *testing.T) {
	for name, d := range documents() {
		for _, s := range []Style{{100, false, true}, {80, false, true}, {80, false, false}, {60, false, true}, {40, false, true}} {
			file := fmt.Sprintf("%s.%d.txt", name, s.Width)
			if !s.Unicode {
				file = fmt.Sprintf("%s.%d.ascii.txt", name, s.Width)
			}
			t.Run(file, func(t *testing.T) {
				var b bytes.Buffer
				if err := Table(&b, d, s); err != nil {
					t.Fatal(err)
				}
				golden(t, file, b.Bytes())
				for line := range strings.Lines(b.String()) {
					line = strings.TrimRight(line, "\n")
					if lipgloss.Width(line) > s.Width {
						t.Errorf("line is %d columns wide: %q", lipgloss.Width(line), line)
					}
					if strings.TrimRight(line, " ") != line {
						t.Errorf("line ends in blanks: %q", line)
					}
					if !s.Unicode && strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
						t.Errorf("line is not ASCII: %q", line)
					}
				}
			})
		}
	}
}

// Colour must not change what the text says.
func TestColourIsOnlyColour(t *testing.T) {
	for name, d := range documents() {
		var plain, colour bytes.Buffer
		Table(&plain, d, Style{80, false, true})
		Table(&colour, d, Style{80, true, true})
		if !strings.Contains(colour.String(), "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		if diff := cmp.Diff(plain.String(), stripEscapes(colour.String())); diff != "" {
			t.Errorf("%s: colour changes the text:\n%s", name, diff)
		}
	}
}

func stripEscapes(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		s = after[strings.IndexByte(after, 'm')+1:]
	}
}

// Where only ASCII can be shown nothing else is, whatever a library said.
func TestPlain(t *testing.T) {
	if got, want := (Style{}).Plain("Aᵀ·B 4096³ ≥ ±0.4 % “naïve” → 漢"), `A^T-B 4096^3 >= +-0.4 % "na?ve" -> ?`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Style{Unicode: true}).Plain("Aᵀ → 漢"); got != "Aᵀ → 漢" {
		t.Errorf("a UTF-8 terminal is shown %q", got)
	}
}

func TestEncodings(t *testing.T) {
	for ending, encode := range map[string]func(io.Writer, *Document) error{"json": JSON, "jsonl": JSONL, "csv": CSV, "md": Markdown, "line.txt": Line} {
		for name, d := range documents() {
			var b bytes.Buffer
			if err := encode(&b, d); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+ending, b.Bytes())
		}
	}
}

// docs/result.schema.json is a promise: what is written keeps it, and it is
// strict enough to notice a field that is not described.
func TestJSONKeepsItsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/result.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range documents() {
		var whole, lines bytes.Buffer
		if err := errors.Join(JSON(&whole, d), JSONL(&lines, d)); err != nil {
			t.Fatal(err)
		}
		texts := append(slices.Collect(strings.Lines(lines.String())), whole.String())
		if len(texts) != len(d.Results)+1 {
			t.Errorf("%s: %d lines of %d results", name, len(texts)-1, len(d.Results))
		}
		for _, text := range texts {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			value.(map[string]any)["surprise"] = 1
			if schema.Validate(value) == nil {
				t.Errorf("%s: the schema takes an unknown field", name)
			}
		}
	}
}

// The raw samples are all there: every figure can be computed again from them.
func TestJSONHoldsTheSamples(t *testing.T) {
	d := documents()["gpu"]
	var b bytes.Buffer
	if err := JSON(&b, d); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []struct {
			Lane  string
			Speed struct{ Value float64 }
			bench.Result
		}
		Comparisons []struct {
			Lane, Base string
			Ratio      *struct{ Value, Low, High float64 }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for i, r := range got.Results {
		again, ok := r.Result.Speed()
		if !ok || again.Value != r.Speed.Value || !cmp.Equal(r.Samples, d.Results[i].Samples) {
			t.Errorf("%s: %+v does not follow from its samples", r.Lane, r.Speed)
		}
	}
	if len(got.Comparisons) != 3 {
		t.Fatalf("%d comparisons, want each of the other lanes with the base", len(got.Comparisons))
	}
	for _, c := range got.Comparisons {
		if c.Base != "gocpu/cpu:0" || c.Ratio == nil || !(c.Ratio.Low <= c.Ratio.Value && c.Ratio.Value <= c.Ratio.High) {
			t.Errorf("comparison %+v, want a ratio with the fastest CPU lane", c)
		}
	}
}

func TestSentences(t *testing.T) {
	slowGPU := result(cuda, 0.5e12)
	tests := []struct {
		name string
		d    *Document
		want []string // parts, in order
		not  string
	}{
		{"GPU against CPU", document(result(builtIn, 1e12), result(cuda, 25e12)), []string{"The GPU is 25× as fast as the CPU (±0.0 %): same matrices, same float32, 4096³, both verified."}, ""},
		{"the CPU wins", document(result(builtIn, 1e12), slowGPU), []string{"The CPU is 2.0× as fast as the GPU"}, ""},
		{"one sample each", document(result(builtIn, 1e12, first(1)), result(cuda, 25e12)), []string{"The GPU is 25× as fast as the CPU (from a single pair of samples)"}, "±"},
		{"few samples", document(result(builtIn, 1e12, first(4)), result(cuda, 25e12)), []string{"The GPU is 25× as fast as the CPU (25–25×, from few samples)"}, "±"},
		{"level", document(result(builtIn, 1e12), result(cuda, 1.0005e12)), []string{"No difference that can be seen"}, "as fast as the"},
		{"other sizes", document(result(builtIn, 1e12), result(cuda, 9e12, func(r *bench.Result) { r.GEMM = bench.Square(8192, matrix.Float32) })),
			[]string{"No ratio of GPU and CPU: they differ in size 8192³ against 4096³."}, "as fast as"},
		{"other types", document(result(builtIn, 1e12), result(cuda, 9e12, func(r *bench.Result) { r.GEMM = bench.Square(4096, matrix.Float16) })), []string{"No ratio", "dtype"}, "as fast as"},
		{"a wrong GPU", document(result(builtIn, 1e12), result(cuda, 9e12, broken(fault.Wrong, "wrong result", ""))), []string{"No comparison: no GPU lane has a verified result"}, "as fast as"},
		{"a software GPU", document(result(builtIn, 1e12), result(vulkan, 1e9)), []string{"No GPU was found, only a software one"}, "as fast as"},
		{"one CPU lane", document(result(builtIn, 1e12)), []string{"No GPU was found."}, "Fastest"},
		{"CPU lanes", documents()["cpu"], []string{"No GPU was found. Looked for: CUDA (PyTorch 2.15.0 is a CPU-only build).", "If this machine has one: gpuplay doctor", "Fastest on this CPU is OpenBLAS 0.3.34: level with gpuplay (built in, AVX-512)", "1.06× PyTorch 2.15 cpu, eager"}, ""},
		{"no race", func() *Document { d := document(result(builtIn, 1e12)); d.Race = false; return d }(), nil, "GPU"},
		{"nothing", document(), nil, "as fast as"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(sentences(tt.d), " ")
			rest := got
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("%q lacks %q", got, want)
				}
				rest = after
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("%q must not say %q", got, tt.not)
			}
		})
	}
}
