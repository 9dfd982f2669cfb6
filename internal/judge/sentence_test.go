package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/stats"
)

func TestProductSentences(t *testing.T) {
	first := recordtest.First
	size := func(n int) func(*bench.Result) {
		return func(r *bench.Result) { r.GEMM = bench.Square(n, matrix.Float32) }
	}
	half := func(r *bench.Result) { r.GEMM = bench.Square(4096, matrix.Float16) }
	single := recordtest.Run(record.MatMul, result(builtIn, 1e12))
	stopped := race(result(builtIn, 1e12))
	stopped.Interrupted = true
	both := race(result(builtIn, 1e12), result(torchGPU, 25e12))
	both.Interrupted = true
	tests := []struct {
		name string
		r    *record.Run
		want []string // parts, in order
		not  string
	}{
		{"GPU against CPU", race(result(builtIn, 1e12), result(torchGPU, 25e12)), []string{"The GPU is 25× as fast as the CPU (±0.0 %): same matrices, same float32, 4096³, both verified."}, ""},
		{"the CPU wins", race(result(builtIn, 1e12), result(torchGPU, 0.5e12)), []string{"The CPU is 2.0× as fast as the GPU"}, ""},
		{"one sample each", race(result(builtIn, 1e12, first(1)), result(torchGPU, 25e12)), []string{"The GPU is 25× as fast as the CPU (from a single pair of samples)"}, "±"},
		{"few samples", race(result(builtIn, 1e12, first(4)), result(torchGPU, 25e12)), []string{"The GPU is 25× as fast as the CPU (25–25×, from few samples)"}, "±"},
		{"level", race(result(builtIn, 1e12), result(torchGPU, 1.0005e12)), []string{"No difference that can be seen"}, "as fast as the"},
		{"other sizes", race(result(builtIn, 1e12), result(torchGPU, 9e12, size(8192))), []string{"No ratio of GPU and CPU: they differ in size 8192³ against 4096³."}, "as fast as"},
		{"other types", race(result(builtIn, 1e12), result(torchGPU, 9e12, half)), []string{"No ratio", "dtype"}, "as fast as"},
		{"a wrong GPU", race(result(builtIn, 1e12), result(torchGPU, 9e12, failing(fault.Wrong, "wrong result"))), []string{"No comparison: no GPU lane has a verified result"}, "as fast as"},
		{"a wrong CPU", race(result(builtIn, 1e12, failing(fault.Wrong, "wrong result")), result(torchGPU, 9e12)), []string{"No comparison: no CPU lane has a verified result"}, "as fast as"},
		{"a software GPU", race(result(builtIn, 1e12), result(software, 1e9)), []string{"No GPU was found, only a software one"}, "as fast as"},
		{"one CPU lane", race(result(builtIn, 1e12)), []string{"No GPU was found."}, "Fastest"},
		{"CPU lanes", recordtest.Races()["cpu"], []string{"No GPU was found. Looked for: CUDA (PyTorch 2.15.0 is a CPU-only build).", "If this machine has one: gpuplay doctor", "Fastest on this CPU is OpenBLAS 0.3.34: level with gpuplay (built in, AVX-512)", "1.06× PyTorch 2.15 cpu, eager"}, ""},
		{"one lane that was asked for", single, nil, "GPU"},
		{"interrupted", stopped, []string{"Interrupted: what was measured until then is shown."}, "GPU"},
		{"interrupted late", both, []string{"The GPU is 25× as fast"}, "Interrupted"},
		{"nothing", race(), nil, "as fast as"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(Sentences(tt.r), " ")
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

// The two protocols are in one percentage only where both are verified, and then with
// what the intervals of their medians allow.
func TestProtocols(t *testing.T) {
	const why = "classic also times the sum of C, its way to the host and a wait after every product; steady times products alone, warm and in batches"
	classic := func(r *bench.Result) { r.Protocol, r.GEMM.Sum = bench.Classic, true }
	both := func(results ...*bench.Result) *record.Run { return recordtest.Run(record.MatMul, results...) }
	spread := func(r *bench.Result) { // of 20 % of the median
		for i := range r.Samples {
			r.Samples[i].Wall = r.Samples[i].Wall * time.Duration(90+20*(i%2)) / 100
		}
	}
	unchecked := func(r *bench.Result) { r.Check = nil }
	for name, tt := range map[string]struct {
		r    *record.Run
		want string
	}{
		"one":               {both(result(builtIn, 1e12)), ""},
		"classic alone":     {both(result(builtIn, 1e12, classic)), ""},
		"half":              {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic)), "classic shows 50 % (50 % to 50 %) of steady: " + why},
		"level":             {both(result(builtIn, 1e12), result(builtIn, 0.99e12, classic)), "classic shows 99 % (99 % to 99 %) of steady here: what else it times is lost beside products of this size"},
		"level and loose":   {both(result(builtIn, 1e12), result(builtIn, 0.99e12, classic, spread)), "classic shows 100 % (90 % to 110 %) of steady: " + why},
		"a few":             {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, recordtest.First(3))), "classic shows 50 % (50 % to 50 %, from few samples) of steady: " + why},
		"a single one":      {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, recordtest.First(1))), "classic shows 50 % (a single sample) of steady: " + why},
		"failed":            {both(result(builtIn, 1e12), result(builtIn, 1e12, classic, failing(fault.Crashed, "broke"))), why},
		"failed at its end": {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, func(r *bench.Result) { r.Error = fault.Errorf(fault.Crashed, "broke") })), why},
		"classic unchecked": {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, unchecked)), why},
		"steady unchecked":  {both(result(builtIn, 1e12, unchecked), result(builtIn, 0.5e12, classic)), why},
		"not believed":      {both(result(builtIn, 1e12, recordtest.Doubtful(true)), result(builtIn, 0.5e12, classic)), why},
		"interrupted":       {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, recordtest.Warned(measure.Interrupted, ""))), why},
		"another size":      {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, recordtest.Size(64, 64, 64))), why},
		"another seed":      {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, func(r *bench.Result) { r.Seed++ })), why},
		"another engine":    {both(result(builtIn, 1e12), result(builtIn, 0.5e12, classic, recordtest.Engine("other"))), why},
		"another device":    {both(result(builtIn, 1e12), result(blas, 0.5e12, classic)), why},
	} {
		if got := Protocols(tt.r); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// machine returns a run on a machine with these numbers of cores and logical CPUs.
func machine(cores, cpus int) *record.Run {
	return &record.Run{Machine: host.Machine{Cores: cores, CPUs: cpus}}
}

func TestWords(t *testing.T) {
	firm, loose := stats.Interval{Value: 2, Low: 1.9, High: 2.2, Confidence: 0.96}, stats.Interval{Value: 2, Low: 1, High: 4, Confidence: 0.5}
	narrow := stats.Interval{Value: 2, Low: 1.998, High: 2.002, Confidence: 0.96}
	for _, tt := range []struct{ got, want string }{
		{Spread(firm), "10 %"},
		{Spread(loose), "–"},
		{Spread(stats.Interval{Value: 2, Low: 0.1, High: 4.1, Confidence: 0.96}), "unstable"},
		{Range(firm), "1.90–2.2×"},
		{Range(loose), "1.00–4.0×, from few samples"},
		{Range(narrow), "±0.1 %"},
		{Range(stats.Interval{Value: 2, Low: 2, High: 2}), "from a single pair of samples"},
		{Ratio(measure.Comparison{Ratio: firm}), "2.0 (1.90–2.2)"},
		{Ratio(measure.Comparison{Ratio: stats.Interval{Value: 2, Low: 2, High: 2}}), "2.0"},
		{Ratio(measure.Comparison{Ratio: stats.Interval{Value: 2, Low: 1.9, High: 2.2, Confidence: 0.75}}), "2.0"},
		{Processor(machine(8, 16), "Chip"), "Chip, 8 cores, 16 threads"},
		{Processor(machine(8, 8), "Chip"), "Chip, 8 cores"},
		{Processor(machine(8, 4), "Chip"), "Chip, 8 cores"},
		{Processor(machine(1, 2), "Chip"), "Chip, 1 core, 2 threads"},
		{Processor(machine(0, 16), "Chip"), "Chip, 16 CPUs"},
		{Processor(machine(0, 0), "Chip"), "Chip"},
		{string(DType(bench.Square(1, matrix.TF32))), "tf32"},
		{string(DType(bench.Square(1, matrix.Float16))), "float16"},
		{ShareOfPeak(result(builtIn, 1e12, recordtest.Peak(2e12))), "50 %"},
		{ShareOfPeak(result(builtIn, 1e12)), ""},
		{ShareOfPeak(nil), ""},
		{ShareOfPeak(result(builtIn, 1e12, recordtest.Peak(2e12), recordtest.Warned(measure.Unchecked, "the process was killed"))), ""},
		{ShareOfPeak(result(builtIn, 1e12, recordtest.Peak(2e12), func(r *bench.Result) { r.Error = fault.Errorf(fault.Wrong, "wrong result") })), ""},
		{Doubt(result(builtIn, 1e12, recordtest.Warned(measure.Unchecked, "its last product could not be checked"))), "its last product could not be checked"},
		{Doubt(result(builtIn, 1e12)), ""},
		{Doubt(result(builtIn, 1e12, recordtest.Doubtful(true))), "faster than this device can be: not believed"},
		{Doubt(result(builtIn, 1e12, func(r *bench.Result) { r.Check = nil })), "its product was not checked"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestBound(t *testing.T) {
	arithmetic := []*bench.Result{result(builtIn, 1e12, recordtest.Peak(2e12)), result(blas, 1e12)}
	head, figure := Bound(arithmetic)
	if got := []string{head, figure(arithmetic[0]), figure(arithmetic[1])}; strings.Join(got, ", ") != "of peak, 50 %, 50 %" {
		t.Errorf("bound by arithmetic: %q", got)
	}
	if arithmetic[1].Facts.Peak != nil {
		t.Error("the result was changed")
	}
	// The peak of a lane that was not checked to the end was measured only before its samples.
	killed := result(builtIn, 1e12, recordtest.Peak(2e12), recordtest.Warned(measure.Unchecked, "the process was killed"))
	_, figure = Bound([]*bench.Result{killed, result(blas, 1e12)})
	if got := []string{figure(killed), figure(result(blas, 1e12))}; strings.Join(got, ", ") != "–, –" {
		t.Errorf("not checked to the end: %q", got)
	}
	// What is faster than the peak shows that it is not this CPU's; a GPU has no part in it.
	quick := append(arithmetic[:2:2], result(torchCPU, 3e12), result(torchGPU, 9e12))
	_, figure = Bound(quick)
	if got := []string{figure(quick[0]), figure(quick[1]), figure(quick[2]), figure(quick[3])}; strings.Join(got, ", ") != "50 %, –, –, –" {
		t.Errorf("beside a faster one: %q", got)
	}
	_, figure = Bound([]*bench.Result{arithmetic[0], quick[3]})
	if got := figure(quick[3]); got != "–" {
		t.Errorf("a GPU has %q of the CPU's peak", got)
	}
	memory := recordtest.Races()["vector"].Results
	head, figure = Bound(memory)
	if got := []string{head, figure(memory[0]), figure(memory[2])}; strings.Join(got, ", ") != "GB/s, 19.6, –" {
		t.Errorf("bound by memory: %q", got)
	}
}
