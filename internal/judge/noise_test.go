package judge

import (
	"math"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

func TestSelfTests(t *testing.T) {
	all := recordtest.Noises()
	tests := SelfTests(all["noise"].Noise)
	if len(tests) != 2 || tests[0].Apart != 1 || tests[0].N != 39 || tests[1].Apart != 10 || tests[1].N != 30 {
		t.Fatalf("%+v", tests)
	}
	for _, x := range tests {
		if x.Wrong > 0 || x.Same != x.N || x.Sees > 0.02 || x.Time.Seconds() != 0.7*float64(x.Apart) {
			t.Errorf("%+v", x)
		}
	}
	if wrong := SelfTests(all["noise.wrong"].Noise); wrong[0].Wrong != 39 || wrong[1].Wrong != 0 || wrong[0].Rate() != 1 {
		t.Errorf("alternating: %+v", wrong)
	}
	if far := SelfTests(all["noise.wandering"].Noise); far[0].Wrong != 0 || far[1].Wrong < 25 {
		t.Errorf("wandering: %+v", far)
	}
	if noisy := SelfTests(all["noise.noisy"].Noise)[0]; noisy.Unknown != noisy.N || !math.IsInf(noisy.Sees, 1) {
		t.Errorf("noisy: %+v", noisy)
	}
	// A run that was cut short is in the record and in no comparison.
	cut := all["noise.short"].Noise
	cut.Results[3].Warnings.Add(measure.Interrupted, "interrupted")
	if got := SelfTests(cut)[0]; got.N != 2 {
		t.Errorf("%+v", got)
	}
	for _, n := range []*record.Noise{nil, {}, all["noise.failed"].Noise} {
		if got := SelfTests(n); len(got) > 0 || len(NoiseFigures(n)) > 0 {
			t.Errorf("%+v", got)
		}
	}
}

func TestNoiseSentences(t *testing.T) {
	for name, want := range map[string]string{
		"noise":           "Verdicts hold on this machine: 0 of 39 comparisons of a lane with itself (0.0 %) found a difference, and 39 found that there is none.",
		"noise.wrong":     "Verdicts do not hold on this machine now: 39 of 39 comparisons",
		"noise.noisy":     "No false verdict, but few that say anything: 0 of 39 comparisons of a lane with itself found a difference, and 39 are undecided",
		"noise.wandering": "are called different in",
		"noise.failed":    "No comparison: ended by signal 6.",
		"noise.short":     "There was time for 4 of 201 runs.",
	} {
		if got := strings.Join(Sentences(recordtest.Noises()[name]), "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestNoiseSummary(t *testing.T) {
	if task, figure := Summary(recordtest.Noises()["noise.wrong"]); task != "noise at 512³ float32" || figure != "39 of 39 verdicts false" {
		t.Errorf("%q, %q", task, figure)
	}
}

func TestNoiseCheck(t *testing.T) {
	for name, want := range map[string]record.Status{"noise": record.OK, "noise.wrong": record.Warning, "noise.noisy": record.Warning, "noise.failed": record.Unknown} {
		c := NoiseCheck(recordtest.Noises()[name].Noise)
		if c.Status != want || c.Seen == "" || (want == record.Warning) != (len(c.Remedies) > 0) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
