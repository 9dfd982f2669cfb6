package judge

import (
	"fmt"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Summary returns a run in a line of a list: what was measured, such as
// "4096³ float32", and what it came to, such as "GPU 25.1 TFLOP/s, CPU 1.01 TFLOP/s".
// The figure is empty where there is none that may be quoted.
func Summary(r *record.Run) (task, figure string) {
	switch {
	case len(r.Results) > 0:
		return productSummary(r)
	case r.Tokens != nil:
		t := r.Tokens
		if x := BestTokens(t, unnamed); x != nil {
			return t.Model.Name, unit.Digits3(TokenRate(x, llm.Generating)) + " tok/s"
		}
		return t.Model.Name, byKind(func(k hardware.Kind) string {
			if x := BestTokens(t, k); x != nil {
				return unit.Digits3(TokenRate(x, llm.Generating)) + " tok/s"
			}
			return ""
		})
	case r.Generation != nil:
		task = lastName(r.Generation.Model)
		if rate, ok := r.Generation.Answer.Rate(); ok {
			figure = unit.Digits3(rate) + " tok/s"
		}
	case r.Training != nil:
		task = r.Training.Name
		if losses, _ := r.Training.Result.Losses(); len(losses) > 0 {
			first, last := Losses(losses)
			figure = fmt.Sprintf("loss %.2f → %.2f, %.0f tok/s", first, last, TrainingSpeed(&r.Training.Result))
		}
	case r.CPU != nil:
		task = r.Machine.CPU
		if counts := ThreadCounts(r.CPU); len(counts) > 0 {
			if flops, ok := Peak(r.CPU, matrix.Float32, counts[len(counts)-1]); ok {
				figure = "peak " + bench.Square(1, matrix.Float32).Rate(flops)
			}
		}
	case len(r.GPUs) > 0:
		task, figure = gpuSummary(r)
	case r.Scaling != nil:
		task, figure = scalingSummary(r.Scaling)
	case r.Ladder != nil:
		task = unit.Cube(r.Ladder.Size, r.Ladder.Size, r.Ladder.Size) + " float32"
		if r.Ladder.GPU != "" {
			task = unit.Cube(r.Ladder.Size, r.Ladder.Size, r.Ladder.Size) + " on " + LadderDevice(r.Ladder)
			break
		}
		if speeds := RungSpeeds(r.Ladder); len(speeds) > 1 && !r.Interrupted && finite(speeds[0]) && finite(speeds[len(speeds)-1]) {
			figure = unit.Times(speeds[len(speeds)-1]/speeds[0]) + "×"
		}
	case NoiseLane(r.Noise) != nil && r.Kind == record.Learn:
		g := NoiseLane(r.Noise).GEMM
		task = fmt.Sprintf("noise at %s %s", unit.Cube(g.M, g.N, g.K), DType(g))
		if tests := SelfTests(r.Noise); len(tests) > 0 {
			figure = fmt.Sprintf("%d of %d verdicts false", tests[0].Wrong, tests[0].N)
		}
	case r.Foreign != nil && len(r.Foreign.Series) > 0:
		f := r.Foreign
		task, figure = f.Tool+": "+f.Series[0].Name, SeriesFigure(f.Series[0])
		if more := len(f.Series) - 1; more > 0 {
			figure += fmt.Sprintf(", and %d more", more)
		}
	}
	return task, figure
}

// Command returns what makes a run of this kind, as people type it: "race", "learn noise".
func Command(r *record.Run) string {
	switch {
	case r.Kind == record.Inputs:
		return "learn data"
	case r.Kind == record.Learn && r.Noise != nil:
		return "learn noise"
	case r.Kind == record.Learn:
		return "learn matmul"
	case r.Kind == record.Scale:
		return "scale run"
	case r.Kind == record.Imported:
		return "results import"
	}
	return string(r.Kind)
}

// productSummary is that of a run of products.
func productSummary(r *record.Run) (task, figure string) {
	points := r.Points()
	first, last := points[0][0].GEMM, points[len(points)-1][0].GEMM
	task = unit.Cube(first.M, first.N, first.K)
	if first != last && len(points) > 1 {
		task += " to " + unit.Cube(last.M, last.N, last.K)
	}
	task += " " + Operands(first)
	results := r.Results
	if r.Kind == record.Inputs { // of which the fastest is not what the device is worth
		if results = nil; randomInputs(r) != nil {
			results = []*bench.Result{randomInputs(r)}
		}
	}
	return task, byKind(func(k hardware.Kind) string {
		if x := Best(results, k); x != nil {
			return x.GEMM.Rate(Speed(x))
		}
		return ""
	})
}

// byKind says what the best of each kind of device came to, the GPU first.
func byKind(best func(hardware.Kind) string) string {
	var parts []string
	for _, of := range []struct {
		kind hardware.Kind
		name string
	}{{hardware.GPU, "GPU"}, {hardware.CPU, "CPU"}} {
		if text := best(of.kind); text != "" {
			parts = append(parts, of.name+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}
