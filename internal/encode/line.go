package encode

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Line writes exactly one line per lane, in the form of the tutorial:
//
//	[PyTorch] device=mps dtype=float16 size=8192 repeat=6 time=0.95s ~6.94 TFLOP/s
//
// time is what all timed products took together, and the speed follows from it. A
// lane without a figure says why in its place, a doubtful one says so at the end. Of two
// lanes that differ in their protocol alone, the tutorial's is the one without its name.
func Line(w io.Writer, r *record.Run, words fault.Wording) error {
	for _, x := range r.Results {
		size := strconv.Itoa(x.GEMM.M)
		if x.GEMM.M != x.GEMM.N || x.GEMM.N != x.GEMM.K {
			size = fmt.Sprintf("%dx%dx%d", x.GEMM.M, x.GEMM.N, x.GEMM.K)
		}
		text := fmt.Sprintf("[%s] device=%s dtype=%s size=%s", x.Device.Library, x.Device.API, judge.DType(x.GEMM), size)
		if x.GEMM.Data != matrix.Random {
			text += fmt.Sprintf(" data=%s", x.GEMM.Data)
		}
		if x.Protocol != bench.Classic && slices.ContainsFunc(r.Results, func(o *bench.Result) bool { return o.Protocol == bench.Classic }) {
			text += fmt.Sprintf(" protocol=%s", x.Protocol)
		}
		iters, wall := x.Total()
		_, measured := x.Speed()
		switch {
		case x.Error != nil && !measured:
			text += " failed: " + x.Error.Words(words)
		case iters == 0:
			text += " interrupted"
		default:
			text += fmt.Sprintf(" repeat=%d time=%s ~%s T%s/s", iters, lineSeconds(wall.Seconds()), unit.Tera(float64(iters)*x.GEMM.FLOP()/wall.Seconds()), x.GEMM.Op())
			switch {
			case x.Error != nil:
				text += " incomplete: " + x.Error.Words(words)
			case x.Has(measure.Interrupted):
				text += " interrupted"
			case !x.Verified():
				text += " not verified: " + judge.Doubt(x)
			}
		}
		if _, err := fmt.Fprintln(w, plain.Line(text)); err != nil {
			return err
		}
	}
	return nil
}

// lineSeconds prints two decimals, as the tutorial does, or three digits of less than
// a tenth of a second.
func lineSeconds(s float64) string {
	if s >= 0.1 {
		return fmt.Sprintf("%.2fs", s)
	}
	return unit.Digits3(s) + "s"
}
