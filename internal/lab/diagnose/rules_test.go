package diagnose

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// A thread on each physical core is all that products can use: hyper-threads and the
// slower of two kinds of cores are not missing.
func TestRuleThreads(t *testing.T) {
	for _, tt := range []struct {
		what     string
		machine  host.Machine
		threads  int
		evidence string
		advice   string
		factor   float64
	}{
		{"one per core", host.Machine{Cores: 8, CPUs: 16}, 8, "", "", 0},
		{"one per CPU", host.Machine{Cores: 8, CPUs: 16}, 16, "", "", 0},
		{"half of the cores", host.Machine{Cores: 8, CPUs: 16}, 4, "4 threads on 8 cores, 16 threads", "8", 2},
		{"one", host.Machine{Cores: 8, CPUs: 8}, 1, "1 thread on 8 cores", "8", 8},
		{"one per fast core", host.Machine{Cores: 14, Fast: 6, CPUs: 20}, 6, "", "", 0},
		{"fewer than fast ones", host.Machine{Cores: 14, Fast: 6, CPUs: 20}, 3, "3 threads on 14 cores, 20 threads", "6", 2},
		{"cores not known, half of the CPUs", host.Machine{CPUs: 16}, 8, "", "", 0},
		{"cores not known, one", host.Machine{CPUs: 16}, 1, "1 thread on 16 CPUs", "8", 8},
		{"nothing known", host.Machine{}, 1, "", "", 0},
		{"threads not known", host.Machine{Cores: 8}, 0, "", "", 0},
	} {
		l := recordtest.Result(recordtest.BuiltIn, 1e12, func(r *bench.Result) { r.Facts.Threads = tt.threads })
		list := threads(&record.Run{Machine: tt.machine}, l)
		if tt.evidence == "" {
			if list != nil {
				t.Errorf("%s: %+v", tt.what, list)
			}
			continue
		}
		if len(list) != 1 || list[0].Evidence != tt.evidence || list[0].Factor != tt.factor || list[0].Remedies[0].Value != tt.advice {
			t.Errorf("%s: %+v, want %q and the advice of %s", tt.what, list, tt.evidence, tt.advice)
		}
		gpu := recordtest.Result(recordtest.TorchGPU, 1e12, func(r *bench.Result) { r.Facts.Threads = tt.threads })
		if list := threads(&record.Run{Machine: tt.machine}, gpu); list != nil {
			t.Errorf("%s, on a GPU: %+v", tt.what, list)
		}
	}
}

// times is a ratio as people are told of it; a size has a number behind the sign.
var times = regexp.MustCompile(`[0-9]×($|[^0-9])`)

// No lane that cannot be compared gets a factor by which it is faster.
func TestRuleNoRatio(t *testing.T) {
	standing := func(change func(*bench.Result), which int) string {
		lanes := []*bench.Result{recordtest.Result(recordtest.BuiltIn, 2e12), recordtest.Result(recordtest.OpenBLAS, 1e12)}
		change(lanes[which])
		return Explain(&record.Run{Kind: record.Race, Machine: host.Machine{CPU: "a cpu"}, Results: lanes}).Lanes[0].Standing
	}
	if text := standing(func(*bench.Result) {}, 0); !times.MatchString(text) {
		t.Fatalf("two lanes that can be compared: %q", text)
	}
	for name, change := range map[string]func(*bench.Result){
		"another seed":    func(r *bench.Result) { r.Seed++ },
		"another size":    recordtest.Size(64, 64, 64),
		"another dtype":   recordtest.Integer,
		"not believed":    recordtest.Doubtful(true),
		"unchecked":       func(r *bench.Result) { r.Check = nil },
		"software":        func(r *bench.Result) { r.Device = recordtest.Software },
		"interrupted":     recordtest.Warned(measure.Interrupted, "interrupted"),
		"a smaller one":   recordtest.Warned(measure.Smaller, "measured at 512³"),
		"failed":          func(r *bench.Result) { r.Error = fault.Errorf(fault.Crashed, "ended") },
		"classic":         func(r *bench.Result) { r.Protocol = bench.Classic },
		"without samples": func(r *bench.Result) { r.Samples = nil },
	} {
		for which := range 2 {
			if text := standing(change, which); times.MatchString(text) {
				t.Errorf("lane %d, %s: %q", which, name, text)
			}
		}
	}
	for seed := range uint64(200) {
		r := recordtest.Random(record.Race, seed)
		for i, v := range Explain(r).Lanes {
			if text := fmt.Sprint(v.Standing); times.MatchString(text) && !fair(r) {
				t.Errorf("random %d, lane %d: %q", seed, i, text)
			}
		}
	}
}

// fair reports whether any two lanes of a run may be compared.
func fair(r *record.Run) bool {
	for _, a := range r.Results {
		for _, b := range r.Results {
			if a != b && alike(a, b) {
				return true
			}
		}
	}
	return false
}
