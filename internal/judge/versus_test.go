package judge

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
	"github.com/gpuplay/gpuplay/internal/verdict"
)

func versus(t *testing.T, a, b *record.Run) *Versus {
	t.Helper()
	v, err := NewVersus(a, b, verdict.Threshold)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// said returns the rows of a comparison in short: "OpenBLAS 0.3.34 4096³ float32: slower".
func said(v *Versus) string {
	var lines []string
	for _, r := range v.Rows {
		lines = append(lines, r.Lane+" "+r.Task+": "+r.Said())
	}
	return strings.Join(lines, "\n")
}

func TestRuleVersus(t *testing.T) {
	for name, want := range map[string]string{
		"driver":   "gpuplay (built in, AVX-512) 4096³ float32: same\nOpenBLAS 0.3.34 4096³ float32: slower\nPyTorch 2.15 cpu, eager 4096³ float32: undecided\nPyTorch 2.15 cuda, eager 4096³ float32: faster",
		"machines": "gpuplay (built in, AVX-512) 4096³ float32: faster\nPyTorch 2.15 cuda, eager 4096³ float32: faster\nOpenBLAS 0.3.34 4096³ float32: not compared",
		"sweep":    "gpuplay (built in, AVX-512) 64³ float32: same\ngpuplay (built in, AVX-512) 512³ float32: same",
		"alone":    "CPU generation: undecided\nCPU prompt: undecided",
	} {
		pair := recordtest.Pairs()[name]
		v := versus(t, pair[0], pair[1])
		if got := said(v); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		for _, r := range v.Rows {
			if why := v.Why(r); (why == "") != (r.Compared() && r.Word != verdict.Undecided) {
				t.Errorf("%s: %s is %s: %q", name, r.Lane, r.Said(), why)
			}
		}
	}
}

// What is not the same task is refused, and the error names what differs.
func TestRuleVersusRefuses(t *testing.T) {
	run := func(change ...func(*bench.Result)) *record.Run {
		return recordtest.Run(record.MatMul, recordtest.Result(recordtest.BuiltIn, 1e12, append([]func(*bench.Result){recordtest.Engine("gocpu")}, change...)...))
	}
	tokens := func(change func(*record.Run)) *record.Run {
		r := recordtest.Language(recordtest.Lane(recordtest.LlamaCPU, 0, 40, 310))
		change(r)
		return r
	}
	lane := func(change func(*llm.Result)) *record.Run {
		return tokens(func(r *record.Run) { change(r.Tokens.Results[0]) })
	}
	same := tokens(func(*record.Run) {})
	for says, pair := range map[string][2]*record.Run{
		"size 64³ against 4096³": {run(), run(recordtest.Size(64, 64, 64))},
		"dtype float64 against":  {run(), run(func(r *bench.Result) { r.GEMM = bench.Square(4096, matrix.Float64) })},
		"sums in":                {run(), run(func(r *bench.Result) { r.GEMM.Acc = matrix.Float64 })},
		"transposes":             {run(), run(func(r *bench.Result) { r.GEMM.TransA = true })},
		"seed":                   {run(), run(func(r *bench.Result) { r.Seed = 2 })},
		"inputs: zeros against":  {run(), run(recordtest.Data(matrix.Zeros))},
		"B is not verified: its": {run(), run(func(r *bench.Result) { r.Check = nil })},
		"A failed: ended":        {run(recordtest.Failed(fault.Crashed, "ended by signal 6")), run()},
		"B was interrupted":      {run(), run(recordtest.Warned(measure.Interrupted, "interrupted"))},
		"2 products against 20, which": {run(), run(recordtest.Warned(measure.Short, "short"), func(r *bench.Result) {
			for i := range r.Samples {
				r.Samples[i].Iters *= 10
			}
		})},
		"took no time":        {run(), run(func(r *bench.Result) { r.Samples[3].Wall = 0 })},
		"no lane in common":   {run(), recordtest.Run(record.Race, recordtest.Result(recordtest.OpenBLAS, 1e12, recordtest.Engine("blas")))},
		"matmul and llm":      {run(), same},
		"B is a run of learn": {run(), recordtest.Ladders()["ladder"]},
		"model Example 1B Q4_K_M of 800000000 bytes against Example 1B Q8_0 of 800000000 bytes": {same, tokens(func(r *record.Run) { r.Tokens.Model.Quantization = "Q8_0" })},
		"prompt (": {same, tokens(func(r *record.Run) {
			r.Tokens.Prompt = "Another."
			r.Tokens.Results[0].Filler = 0
		})},
		"computing in": {lane(func(r *llm.Result) { r.Facts.DType = "float32" }), lane(func(r *llm.Result) { r.Facts.DType = "bfloat16" })},
	} {
		v, err := NewVersus(pair[0], pair[1], verdict.Threshold)
		if err == nil || !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, %+v", says, err, v)
		}
	}
}

// Lanes belong together by device on one machine and by interface on two.
func TestVersusPairs(t *testing.T) {
	gpu := func(id string, speed float64) *bench.Result {
		return recordtest.Result(recordtest.TorchGPU, speed, recordtest.Engine("torch"), func(r *bench.Result) { r.Device.ID = "cuda:" + id })
	}
	a := recordtest.Run(record.Race, gpu("GPU-a", 50e12), gpu("GPU-b", 40e12))
	for name, b := range map[string]*record.Run{
		"the other order": recordtest.Run(record.Race, gpu("GPU-b", 40e12), gpu("GPU-a", 50e12)),
		"other cards":     recordtest.Run(record.Race, gpu("GPU-x", 50e12), gpu("GPU-y", 40e12)),
		"one is new":      recordtest.Run(record.Race, gpu("GPU-x", 50e12), gpu("GPU-b", 40e12)),
	} {
		v := versus(t, a, b)
		if n := v.count()[verdict.Same]; n != 2 || len(v.Alone[0])+len(v.Alone[1]) > 0 {
			t.Errorf("%s:\n%s\n%+v", name, said(v), v.Alone)
		}
	}
	// A race is compared with the sweep that has its size, and the two protocols of a
	// device are two lanes.
	sweep := recordtest.Pairs()["sweep"][0]
	race := recordtest.Run(record.Race, recordtest.Result(recordtest.BuiltIn, 0.9e12, recordtest.Engine("gocpu")))
	if v := versus(t, race, sweep); said(v) != "gpuplay (built in, AVX-512) 4096³ float32: same" || len(v.Alone[1]) != 2 {
		t.Errorf("%s, %v", said(v), v.Alone)
	}
	classic := recordtest.Result(recordtest.BuiltIn, 0.9e12, recordtest.Engine("gocpu"), func(r *bench.Result) { r.Protocol, r.GEMM.Sum = bench.Classic, true })
	both := recordtest.Run(record.MatMul, classic, race.Results[0])
	if v := versus(t, race, both); len(v.Rows) != 1 || len(v.Alone[1]) != 1 {
		t.Errorf("%s, %v", said(v), v.Alone)
	}
}

func TestRuleChanges(t *testing.T) {
	names := func(v *Versus) (list []string) {
		for _, c := range v.Changes {
			text := c.String()
			if len(c.Lanes) > 0 {
				text += " of " + strings.Join(c.Lanes, "; ")
			}
			list = append(list, text)
		}
		return list
	}
	pair := recordtest.Pairs()["driver"]
	if got, want := names(versus(t, pair[0], pair[1])), []string{"gpuplay 0.2.0 (0123abc) → 0.3.0 (89abcdef0123+dirty)", "driver 580.1 → 595.2 of PyTorch 2.15 cuda, eager"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	// What one of the two does not say is no change, and neither is a peak that is as high
	// as before.
	a, b := pair[0], recordtest.Pairs()["driver"][0]
	b.Machine.System, b.Machine.Memory, b.Machine.CPU, b.Program = "debian 13", nil, "", a.Program
	b.Results[3].Device.Versions = map[string]string{"python": "3.13"}
	*b.Results[0].Facts.Peak *= 1.01
	if got := names(versus(t, a, b)); len(got) > 0 {
		t.Errorf("%q", got)
	}
	*b.Results[0].Facts.Peak *= 0.8
	b.Threads, b.Repeat, b.Results[0].Facts.Threads, a.Results[0].Facts.Threads = 4, 20, 4, 16
	a.Results[0].Facts.Cores, b.Results[0].Facts.Cores = 16, 16
	want := []string{
		"threads asked for the engine's choice → 4", "timed runs asked for as precision needs → 20",
		"threads 16 → 4 of gpuplay (built in, AVX-512)", "measured peak 1.10 TFLOP/s → 889 GFLOP/s of gpuplay (built in, AVX-512)",
	}
	v := versus(t, a, b)
	if got := names(v); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if v.Rows[0].Said() != "same" {
		t.Errorf("another number of threads is a change, not another task: %s", said(v))
	}
}

// What sensors read differently is shown, unless the difference is none that matters.
func TestRuleSensorChanges(t *testing.T) {
	of := func(clock, power, temperature float64, throttle ...string) *record.Run {
		return recordtest.Run(record.MatMul, recordtest.Result(recordtest.TorchGPU, 50e12, func(r *bench.Result) {
			r.Sensors = &measure.Sensed{Source: "NVML", During: &measure.State{Clock: &clock, Power: &power, Temperature: &temperature}, Throttle: throttle}
		}))
	}
	a := of(1.98e9, 690, 61)
	if v := versus(t, a, of(1.97e9, 700, 64)); len(v.Changes) > 0 {
		t.Errorf("%v", v.Changes)
	}
	var got []string
	for _, c := range versus(t, a, of(1.5e9, 500, 83, "heat", "power limit")).Changes {
		got = append(got, c.String())
	}
	if want := []string{"clock 1.98 GHz → 1.50 GHz", "power 690 W → 500 W", "temperature 61 °C → 83 °C", "throttled by nothing → heat and power limit"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	b := of(1.98e9, 690, 61)
	if b.Results[0].Sensors.PowerLimit = new(500.0); len(versus(t, a, b).Changes) > 0 { // which A does not say
		t.Errorf("%v", versus(t, a, b).Changes)
	}
	a.Results[0].Sensors.PowerLimit = new(700.0)
	if list := versus(t, a, b).Changes; len(list) != 1 || list[0].String() != "power limit 700 W → 500 W" {
		t.Errorf("%v", list)
	}
	silent := of(1.5e9, 500, 83)
	silent.Results[0].Sensors = nil
	if v := versus(t, a, silent); len(v.Changes) > 0 {
		t.Errorf("one of the two has no sensors: %v", v.Changes)
	}
}

// A lane of A that has no verdict is lost, whatever became of it.
func TestVersusLost(t *testing.T) {
	pair := recordtest.Pairs()["machines"]
	if got, want := versus(t, pair[0], pair[1]).Lost(), []string{"PyTorch 2.15 cpu, eager", "MKL 2026.1", "OpenBLAS 0.3.34"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A lane of a language model whose figures in A may not be quoted is no loss.
func TestVersusLostTokens(t *testing.T) {
	cpu := recordtest.Lane(recordtest.LlamaCPU, 0, 40, 300)
	for want, change := range map[string]func(*llm.Result){
		"GPU, all 25 layers": func(*llm.Result) {},
		"":                   func(r *llm.Result) { r.Check.Passed = false },
	} {
		a := recordtest.Language(cpu, recordtest.Lane(recordtest.LlamaGPU, 99, 240, 3000, change))
		if got := strings.Join(versus(t, a, recordtest.Language(cpu)).Lost(), "; "); got != want {
			t.Errorf("alone in A: %q, want %q", got, want)
		}
		both := versus(t, a, recordtest.Language(cpu, recordtest.Lane(recordtest.LlamaGPU, 99, 240, 3000, func(r *llm.Result) { r.Check.Passed = false })))
		if got := both.Lost(); (len(got) == 2) != (want != "") {
			t.Errorf("wrong in B: %q", got)
		}
	}
}

func TestFine(t *testing.T) {
	for x, want := range map[float64]string{1.0342: "1.034", 0.98: "0.980", 3.456: "3.5", 120: "120"} {
		if got := Fine(x); got != want {
			t.Errorf("Fine(%g) = %s, want %s", x, got, want)
		}
	}
	for n, want := range map[int]int{7: 7, 99: 99, 101: 110, 1234: 1300} {
		if got := round(n); got != want {
			t.Errorf("round(%d) = %d, want %d", n, got, want)
		}
	}
}

// A warning that both runs have is listed once.
func TestDoubts(t *testing.T) {
	noisy, hot := measure.Warning{Code: measure.Noise, Text: "noisy"}, measure.Warning{Code: measure.Throttled, Text: "throttled"}
	small := measure.Warning{Code: measure.Smaller, Text: "smaller"}
	for want, runs := range map[string][2]measure.Warnings{
		"A and B: noisy; B: throttled": {{noisy, small}, {small, noisy, hot}},
		"A: throttled; B: noisy":       {{hot}, {noisy}},
		"":                             {{small}, {small}},
	} {
		if got := strings.Join(doubts(runs[0], runs[1]), "; "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
