package judge

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// recordedScaling returns the runs on GPUs that are kept in docs, by name.
func recordedScaling(t *testing.T) map[string]*record.Run {
	t.Helper()
	files, err := filepath.Glob("../../docs/scaling/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v: %v", err, files)
	}
	runs := map[string]*record.Run{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		runs[strings.TrimSuffix(filepath.Base(f), ".json")] = r
	}
	return runs
}

// On real GPUs, the model misses no peak of memory by more than 5 %, and that of fsdp, which
// it computes, by less than 1 %.
func TestRuleMemoryOfRecords(t *testing.T) {
	n := 0
	for name, r := range recordedScaling(t) {
		for _, x := range ScaledOf(r.Scaling) {
			if x.Predicted == nil || x.Peak == 0 {
				continue
			}
			n++
			limit := 0.05
			if x.Strategy == scaling.FSDP {
				limit = 0.01
			}
			if math.Abs(x.PeakOff) > limit {
				t.Errorf("%s: the memory of %s over %d is off by %.1f %%", name, x.Strategy, x.Ranks, 100*x.PeakOff)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d peaks", n)
	}
}

// Where a GPU waited for Python's launches, the model is neither judged nor extended; where
// none did, it keeps to its goals.
func TestRuleLaunches(t *testing.T) {
	waits := map[string]string{
		"float32-small":  "fsdp tp pp",
		"bfloat16-small": "single dp ddp fsdp tp pp",
		"bfloat16-2048":  "fsdp tp pp",
		"float32-2048":   "",
	}
	for name, r := range recordedScaling(t) {
		list := ScaledOf(r.Scaling)
		var got []string
		for _, x := range list {
			switch {
			case x.Step != nil && x.Launches:
				got = append(got, string(x.Strategy))
			case x.Step == nil && x.Launches != slices.Contains(got, string(x.Strategy)):
				t.Errorf("%s: %s over %d waits for launches: %t", name, x.Strategy, x.Ranks, x.Launches)
			case x.Step == nil && x.Launches && (x.Speedup != 0 || x.Predicted.Seconds != 0 || x.Predicted.Memory == 0):
				t.Errorf("%s: %s over %d is extended: %+v", name, x.Strategy, x.Ranks, x.Predicted)
			}
		}
		if strings.Join(got, " ") != waits[name] {
			t.Errorf("%s: launches hold up %v, want %s", name, got, waits[name])
		}
		median, worst, of, n := ModelError(list)
		if goals := map[string][2]float64{"float32": {0.02, 0.05}, "bfloat16": {0.05, 0.1}}[r.Scaling.DType]; n > 0 && (median > goals[0] || worst > goals[1]) {
			t.Errorf("%s: the model is off by %.1f %% in the median and by %.1f %% with %s", name, 100*median, 100*worst, of.Strategy)
		}
	}
	// What one rank computes alone may wait for launches where the measured step did not.
	r := recordedScaling(t)["float32-2048"]
	alone := r.Scaling.Worlds[0].Shares
	for i := range alone {
		if alone[i].Parts == 4 {
			alone[i].Busy = 0.95 * stats.Median(alone[i].Seconds)
			if alone[i].Strategy == scaling.DP {
				alone[i].Busy = 0.8 * stats.Median(alone[i].Seconds)
			}
		}
	}
	for _, x := range ScaledOf(r.Scaling) {
		if want := x.Ranks == 4 && x.Strategy == scaling.DP; x.Launches != want {
			t.Errorf("%s over %d: %t", x.Strategy, x.Ranks, x.Launches)
		}
	}
	// CPUs run what Python calls before it goes on.
	for i := range r.Scaling.Worlds {
		r.Scaling.Worlds[i].Backend = "gloo"
	}
	for _, x := range ScaledOf(r.Scaling) {
		if x.Launches {
			t.Errorf("%s over %d on CPUs", x.Strategy, x.Ranks)
		}
	}
}
