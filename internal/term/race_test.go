package term

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// CPUs come first, then GPUs by their numbers; lanes on one card stand together,
// verified ones first and by speed.
func TestByHardware(t *testing.T) {
	gpu, cpu := recordtest.TorchGPU, recordtest.BuiltIn
	lane := func(d hardware.Device, engine string, speed float64, change ...func(*bench.Result)) *bench.Result {
		return recordtest.Result(d, speed, append(change, recordtest.Engine(engine))...)
	}
	cards := func(n int) (list []hardware.Card) {
		for i := range n {
			list = append(list, hardware.Card{Number: i, Name: "Card"})
		}
		return list
	}
	for _, tt := range []struct {
		name  string
		cards int
		lanes []*bench.Result
		want  string
	}{
		{"by kind", 0, []*bench.Result{lane(recordtest.Software, "s", 1e9), lane(gpu, "g", 1e12), lane(cpu, "c", 1e12)},
			"Example CPU 9000, 16 cores: c; Example GPU X: g; llvmpipe: s"},
		{"by truth, then by speed", 0, []*bench.Result{
			lane(cpu, "failed", 9e12, recordtest.Failed(fault.Wrong, "wrong")), lane(cpu, "doubtful", 9e12, recordtest.Doubtful(true)), lane(cpu, "slow", 1e12), lane(cpu, "quick", 2e12),
		}, "Example CPU 9000, 16 cores: quick slow doubtful failed"},
		{"by card", 12, []*bench.Result{
			lane(gpu, "unknown", 9e12), lane(gpu, "eleven", 1e12, recordtest.On(11, 11)), lane(gpu, "two", 1e12, recordtest.On(2, 2)), lane(recordtest.JAX, "other", 2e12, recordtest.On(2, -1)),
		}, "Card, GPU 2: other two; Card, GPU 11: eleven; Example GPU X, GPU not known: unknown"},
		{"one card needs no number", 1, []*bench.Result{lane(gpu, "a", 1e12, recordtest.On(0, 0), func(r *bench.Result) { r.Device.Name = "Card" }), lane(gpu, "b", 2e12, func(r *bench.Result) { r.Device.Name = "Card" })},
			"Card: b a"},
	} {
		r := recordtest.Run(record.Race, tt.lanes...)
		r.Cards = cards(tt.cards)
		var parts []string
		for _, p := range byHardware(r) {
			text := p.title + ":"
			for _, x := range p.results {
				text += " " + x.Engine
			}
			parts = append(parts, text)
		}
		if d := cmp.Diff(tt.want, strings.Join(parts, "; ")); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

// A lane that computed something else is left out, and one that broke off keeps its
// figure.
func TestBrokenLanes(t *testing.T) {
	r := recordtest.Run(record.Race,
		recordtest.Result(recordtest.BuiltIn, 1e12, recordtest.Failed(fault.Wrong, "wrong result: error 0.1")),
		recordtest.Result(recordtest.OpenBLAS, 1e12, func(x *bench.Result) {
			x.Error = fault.Errorf(fault.Crashed, "ended by signal 6").With(fault.Run("", "gpuplay", "doctor"))
		}),
		recordtest.Result(recordtest.MKL, 1e12, recordtest.First(0), func(x *bench.Result) { x.Facts.Notes = []string{"sequential"} }),
	)
	text := tableOf(t, r, styles[0])
	for _, want := range []string{
		"wrong result: error 0.1; left out of the comparison\n",
		"  OpenBLAS 0.3.34 ¹                1.00   0.2 %",
		"  ¹ incomplete: ended by signal 6 (gpuplay doctor)\n",
		"not measured\n",
		"  MKL 2026.2 ²",
		"  ² sequential\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks in\n%s", want, text)
		}
	}
}
