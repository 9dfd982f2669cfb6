package judge

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// A reference is shown at equal size and types alone, and only where there is no GPU.
func TestReferences(t *testing.T) {
	half := func(r *bench.Result) { r.GEMM = bench.Square(4096, matrix.BFloat16) }
	stopped, listed := race(result(builtIn, 1e12)), race(result(builtIn, 1e12))
	stopped.Interrupted, listed.Cards = true, []hardware.Card{{Name: "Card"}}
	other := recordtest.Reference("B", 50e12)
	other.Results = append(other.Results, result(torchCPU, 90e12))
	for _, tt := range []struct {
		name string
		r    *record.Run
		kept []*record.Run
		want string // the cards
	}{
		{"none kept", race(result(builtIn, 1e12)), nil, ""},
		{"the fastest first", race(result(builtIn, 1e12), result(blas, 2e12)), []*record.Run{recordtest.Reference("A", 40e12), other}, "B 25 A 20"},
		{"another size", race(result(builtIn, 1e12, recordtest.Size(2048, 2048, 2048))), []*record.Run{recordtest.Reference("A", 40e12)}, ""},
		{"another size of the card", race(result(builtIn, 1e12)), []*record.Run{recordtest.Reference("A", 40e12, recordtest.Size(8192, 8192, 8192)), other}, "B 50"},
		{"another type", race(result(builtIn, 1e12)), []*record.Run{recordtest.Reference("A", 700e12, half)}, ""},
		{"both in that type", race(result(builtIn, 1e12, half)), []*record.Run{recordtest.Reference("A", 700e12, half)}, "A 700"},
		{"other inputs", race(result(builtIn, 1e12, func(r *bench.Result) { r.Seed = 7 })), []*record.Run{recordtest.Reference("A", 40e12)}, ""},
		{"zeros", race(result(builtIn, 1e12, recordtest.Data(matrix.Zeros))), []*record.Run{recordtest.Reference("A", 40e12)}, ""},
		{"normal inputs of the card", race(result(builtIn, 1e12)), []*record.Run{recordtest.Reference("A", 40e12, recordtest.Data(matrix.Normal))}, ""},
		{"a card that is not verified", race(result(builtIn, 1e12)), []*record.Run{recordtest.Reference("A", 40e12, recordtest.Doubtful(true))}, ""},
		{"a CPU that is wrong", race(result(builtIn, 1e12, failing(fault.Wrong, "wrong result"))), []*record.Run{other}, ""},
		{"a slow CPU on a smaller product", race(result(builtIn, 1e12, recordtest.Warned(measure.Smaller, "smaller"))), []*record.Run{other}, ""},
		{"a GPU", race(result(builtIn, 1e12), result(torchGPU, 9e12)), []*record.Run{other}, ""},
		{"a GPU that failed", race(result(builtIn, 1e12), result(torchGPU, 9e12, failing(fault.Crashed, "broke"))), []*record.Run{other}, ""},
		{"a GPU that no engine reaches", listed, []*record.Run{other}, ""},
		{"a software GPU", race(result(builtIn, 1e12), result(software, 1e9)), []*record.Run{other}, "B 50"},
		{"interrupted", stopped, []*record.Run{other}, ""},
		{"one lane by name", recordtest.Run(record.MatMul, result(builtIn, 1e12)), []*record.Run{other}, ""},
	} {
		var got []string
		for _, x := range References(tt.r, tt.kept) {
			got = append(got, x.Lane.Device.Name, strings.TrimSuffix(regexp.MustCompile(`.* ([0-9]+) times this CPU.*`).ReplaceAllString(x.Sentence(), "$1"), ".0"))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	const want = "Reference: Example H, measured with gpuplay on 2026-01-02: 50.4 TFLOP/s, 110 times this CPU; your 300 ms would be 2.73 ms."
	list := References(race(result(builtIn, 0.458e12)), []*record.Run{recordtest.Reference("Example H", 50.4e12)})
	if len(list) != 1 || list[0].Sentence() != want {
		t.Errorf("%+v, want %q", list, want)
	}
}

// A published peak is called published, and not measured.
func TestPublished(t *testing.T) {
	half := func(r *bench.Result) { r.GEMM = bench.Square(4096, matrix.BFloat16) }
	double := func(r *bench.Result) { r.GEMM.In, r.GEMM.Acc = matrix.Int32, matrix.Int32 }
	for _, tt := range []struct {
		name, want, not string
		r               *record.Run
	}{
		{"float32", "RTX 5090 104.8 TFLOP/s in float32 (Apple, NVIDIA).", "", race(result(builtIn, 1e12))},
		{"bfloat16", "RTX 5090 209.5 TFLOP/s in bfloat16 (NVIDIA).", "Apple", race(result(builtIn, 1e12, half))},
		{"int8", "RTX 5090 838 TOP/s in int8 (NVIDIA).", "FLOP", race(result(builtIn, 1e12, recordtest.Integer))},
		{"nothing published", "", "", race(result(builtIn, 1e12, double))},
		{"with a GPU", "", "", race(result(builtIn, 1e12), result(torchGPU, 9e12))},
	} {
		got := Published(tt.r)
		if tt.want == "" && got != "" || !strings.HasSuffix(got, tt.want) || tt.not != "" && strings.Contains(got, tt.not) {
			t.Errorf("%s: %q", tt.name, got)
		}
		if got != "" && (!strings.HasPrefix(got, "Published peaks, not measured: ") || strings.Contains(got, "times")) {
			t.Errorf("%s: %q does not say what it is", tt.name, got)
		}
	}
}
