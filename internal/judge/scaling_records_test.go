package judge

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
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
