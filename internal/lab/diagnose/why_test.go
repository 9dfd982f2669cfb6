package diagnose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/golden"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// lane returns a verified lane whose samples, of one product each, took so long.
func lane(engine string, kind hardware.Kind, api string, g bench.GEMM, took ...time.Duration) *bench.Result {
	l := &bench.Result{
		Engine: engine, GEMM: g, Protocol: bench.Steady, Check: &matrix.Check{Passed: true},
		Device: hardware.Device{ID: api, Name: "a " + string(kind), Kind: kind, API: api, Library: engine, Version: "1"},
	}
	for _, d := range took {
		l.Samples = append(l.Samples, bench.Sample{Iters: 1, Wall: d})
	}
	return l
}

// steady returns n equal times.
func steady(n int, d time.Duration) []time.Duration {
	list := make([]time.Duration, n)
	for i := range list {
		list[i] = d
	}
	return list
}

func with(l *bench.Result, change func(*bench.Result)) *bench.Result {
	change(l)
	return l
}

func TestExplain(t *testing.T) {
	const ms, us = time.Millisecond, time.Microsecond
	large, little := bench.Square(4096, matrix.Float32), bench.Square(512, matrix.Float32)
	half := bench.Square(4096, matrix.Float16)
	vector := bench.GEMM{M: 1, N: 4096, K: 4096, In: matrix.Float32, Acc: matrix.Float32, Out: matrix.Float32}
	peak := func(flops float64) func(*bench.Result) {
		return func(l *bench.Result) { l.Facts.Peak = &flops }
	}
	fast := func(g bench.GEMM, d time.Duration) *bench.Result {
		return lane("fast", hardware.CPU, "cpu", g, steady(10, d)...)
	}
	slower := append(steady(6, 400*ms), steady(6, 800*ms)...)
	faster := append(steady(6, 800*ms), steady(6, 400*ms)...)
	for _, test := range []struct {
		what  string
		lanes []*bench.Result // the first is judged
		slow  bool
		want  string // codes, the most likely first
	}{
		{"at its peak", []*bench.Result{with(fast(large, 100*ms), peak(1.4e12))}, false, ""},
		{"as good as its neighbour", []*bench.Result{fast(large, 100*ms), fast(large, 90*ms)}, false, ""},
		{"slow and nothing shows", []*bench.Result{fast(large, 400*ms), fast(large, 100*ms)}, true, ""},
		{"one thread", []*bench.Result{with(fast(large, 400*ms), func(l *bench.Result) { l.Facts.Threads = 1 }), fast(large, 100*ms)}, true, "threads"},
		{"throttled", []*bench.Result{lane("x", hardware.CPU, "cpu", large, slower...), fast(large, 100*ms)}, true, "throttled noise"},
		{"cold", []*bench.Result{lane("x", hardware.CPU, "cpu", large, faster...), fast(large, 100*ms)}, true, "not_warm noise"},
		{"old kernels", []*bench.Result{with(fast(large, 400*ms), func(l *bench.Result) { l.Device.Detail = "Haswell kernels" }), fast(large, 100*ms)}, true, "old_kernels"},
		{"float16 on a CPU", []*bench.Result{with(fast(half, 9*time.Second), func(l *bench.Result) { l.Facts.Notes = []string{"converted to float32 while packing"} }), fast(half, 100*ms)}, true, "emulated engine_note"},
		{"memory bound", []*bench.Result{with(fast(vector, 3*ms), peak(5e11))}, true, "memory_bound"},
		{"too small for a GPU", []*bench.Result{lane("x", hardware.GPU, "mps", little, steady(10, 60*us)...), lane("y", hardware.GPU, "metal", little, steady(10, 30*us)...)}, true, "too_small"},
		{"slower than the CPU", []*bench.Result{lane("x", hardware.GPU, "cuda", little, steady(10, 900*us)...), fast(little, 300*us)}, true, "too_small tf32_off"},
		{"not on the GPU", []*bench.Result{lane("x", hardware.GPU, "mps", large, steady(10, 100*ms)...), lane("x", hardware.CPU, "cpu", large, steady(10, 100*ms)...), lane("y", hardware.GPU, "metal", large, steady(10, 10*ms)...)}, true, "not_on_gpu"},
		{"software", []*bench.Result{lane("x", hardware.SoftwareGPU, "vulkan", large, steady(10, 900*ms)...), fast(large, 100*ms)}, true, "software_gpu"},
		{"full precision", []*bench.Result{with(lane("x", hardware.GPU, "cuda", large, steady(10, 3*ms)...), peak(4e14))}, true, "tf32_off"},
		{"classic beside steady", []*bench.Result{
			with(lane("x", hardware.GPU, "mps", large, 20*ms), func(l *bench.Result) { l.Protocol = bench.Classic; peak(1.4e13)(l) }), lane("x", hardware.GPU, "mps", large, steady(10, 10*ms)...),
		}, true, "classic_loop"},
		{"alone", []*bench.Result{lane("x", hardware.GPU, "metal", large, steady(10, 10*ms)...)}, true, ""},
	} {
		r := &record.Run{Kind: record.Race, Machine: host.Machine{Arch: "amd64", Cores: 8, CPU: "a cpu", Features: []string{"avx2", "avx512f"}}, Results: test.lanes}
		before := fmt.Sprintf("%+v", *test.lanes[0])
		v := Explain(r).Lanes[0]
		if after := fmt.Sprintf("%+v", *test.lanes[0]); after != before {
			t.Errorf("%s: the result became %s", test.what, after)
		}
		var codes []string
		for _, c := range v.Causes {
			codes = append(codes, c.Code)
			if c.Evidence == "" {
				t.Errorf("%s: no evidence for %s", test.what, c.Code)
			}
		}
		if got := strings.Join(codes, " "); v.Slow != test.slow || got != test.want {
			t.Errorf("%s: slow %v: %s (%s); want %v: %s", test.what, v.Slow, got, v.Standing, test.slow, test.want)
		}
	}
}

// The whole explanation of a race, from a file of version 1.
func TestExplanation(t *testing.T) {
	r := read(t, "race.result.json")
	failed := lane("mlx", hardware.GPU, "metal", r.Results[0].GEMM)
	failed.Error = &fault.Error{Code: fault.Wrong, Message: "wrong result: error 3.1e-02 where at most 6.0e-06 is expected"}
	r.Results = append(r.Results, failed)
	text, err := json.MarshalIndent(Explain(r), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "race.explained.json", append(text, '\n'))
}

// A record of this version is explained as one of version 1 is.
func TestVersions(t *testing.T) {
	old := read(t, "race.result.json")
	var b bytes.Buffer
	if err := record.Write(&b, old); err != nil {
		t.Fatal(err)
	}
	now, err := parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Explain(old), Explain(now)); d != "" {
		t.Error(d)
	}
}

// Of a sweep each size is a lane of its own, and is compared with its own size only.
func TestSweep(t *testing.T) {
	r := &record.Run{Kind: record.Sweep, Machine: host.Machine{CPU: "a cpu", Cores: 8}}
	for _, n := range []int{1024, 4096} {
		g := bench.Square(n, matrix.Float32)
		r.Results = append(r.Results, lane("x", hardware.CPU, "cpu", g, steady(10, 400*time.Millisecond)...), lane("y", hardware.CPU, "cpu", g, steady(10, 100*time.Millisecond)...))
	}
	e := Explain(r)
	var got []string
	for _, v := range e.Lanes {
		got = append(got, v.Label+": "+v.Standing)
	}
	want := []string{"x 1 cpu, 1024³: 25 % of y 1 cpu", "y 1 cpu, 1024³: 4.0× x 1 cpu", "x 1 cpu, 4096³: 25 % of y 1 cpu", "y 1 cpu, 4096³: 4.0× x 1 cpu"}
	if d := cmp.Diff(want, got); d != "" || e.Subject != "a sweep of float32 on a cpu, 8 cores" {
		t.Errorf("%s: %s", e.Subject, d)
	}
}

// A run without products is explained by nothing, and lanes that nobody can compute
// with are left out.
func TestNothingToExplain(t *testing.T) {
	if e := Explain(&record.Run{Kind: record.Doctor}); e.Lanes != nil || e.Missing != nil {
		t.Errorf("%+v", e)
	}
	bad := lane("x", hardware.CPU, "cpu", bench.Square(8, matrix.Float32), 0)
	if e := Explain(&record.Run{Results: []*bench.Result{bad}}); e.Lanes != nil {
		t.Errorf("%+v", e)
	}
}

// parse returns the run of a text, as long as Explain can explain it.
func parse(text []byte) (*record.Run, error) {
	r, err := record.Parse(text)
	if err == nil {
		err = Check(r)
	}
	return r, err
}

func read(t *testing.T, file string) *record.Run {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheckRefuses(t *testing.T) {
	const head = `{"schema": "gpuplay/result/v1", "results": `
	for text, want := range map[string]string{
		head + `[]}`: "holds no results",
		`{"schema": "gpuplay/run/v2", "kind": "doctor"}`: "holds no results",
		head + `[{}]}`: "result 1: it is a product of 0³",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A file with hostile numbers explains nothing, and does not crash.
func FuzzExplain(f *testing.F) {
	f.Add([]byte(`{"schema": "gpuplay/result/v1", "results": [{"gemm": {"m": 8, "n": 8, "k": 8, "in": "float16", "out": "float16"}, "device": {"kind": "cpu"}, "facts": {"threads": 1}, "samples": [{"iters": 3, "wall_ns": 5}]}]}`))
	f.Add([]byte(`{"schema": "gpuplay/result/v1", "results": [{"gemm": {"m": 1, "n": 9223372036854775807, "k": 1, "in": "tf32", "out": "float64"}, "device": {"kind": "gpu"}, "facts": {"peak": 0}, "samples": [{"iters": 1, "wall_ns": 1}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parse(text)
		if err != nil {
			return
		}
		e := Explain(r)
		if _, err := json.Marshal(e); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(e, Explain(r)); d != "" {
			t.Errorf("not the same twice:\n%s", d)
		}
	})
}

// An engine's own note on its kernels does not make one cause into two.
func TestOldKernelsAreOneCause(t *testing.T) {
	l := &bench.Result{Device: hardware.Device{Kind: hardware.CPU, Detail: "Haswell kernels"}, Facts: bench.Facts{Notes: []string{"Haswell kernels, for narrower vectors", "another note"}}}
	r := &record.Run{Machine: host.Machine{Features: []string{"avx512f"}}}
	if got := notes(r, l); len(got) != 1 || got[0].Evidence != "another note" || len(kernels(r, l)) != 1 {
		t.Errorf("notes are %+v", got)
	}
}
