package diagnose

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Check returns why Explain cannot explain a record, nil if it can.
func Check(r *record.Run) error {
	if len(r.Results) == 0 {
		return errors.New("holds no results of matrix products")
	}
	for i, l := range r.Results {
		if err := sound(l); err != nil {
			return fmt.Errorf("result %d %w", i+1, err)
		}
	}
	return nil
}

// sound reports what makes it impossible to say how fast a lane is: more than a
// record must be sound for.
func sound(l *bench.Result) error {
	g := l.GEMM
	const most = 1 << 30 // no sum of a few sizes overflows
	if min(g.M, g.N, g.K) < 1 || max(g.M, g.N, g.K) > most {
		return fmt.Errorf("is a product of %s", unit.Cube(g.M, g.N, g.K))
	}
	for _, s := range l.Samples {
		if s.Iters < 1 || s.Wall <= 0 {
			return fmt.Errorf("has a sample of %d products in %s", s.Iters, s.Wall)
		}
	}
	return nil
}

// fairShare is the share of its peak, or of its fastest neighbour's speed, below
// which a lane asks for an explanation: good kernels reach more on large products.
const fairShare = 0.7

// Explain says of each lane of products in a run how it stands and, where it is slow,
// why, from what the run holds. It is pure; a lane that Check would refuse is left
// out, and a run without products has no lanes.
func Explain(r *record.Run) record.Explanation {
	e := record.Explanation{Fair: fairShare}
	sane := *r
	sane.Results = slices.DeleteFunc(slices.Clone(r.Results), func(l *bench.Result) bool { return sound(l) != nil })
	for i, l := range sane.Results {
		if i == 0 {
			g := l.GEMM
			e.Subject = unit.Cube(g.M, g.N, g.K)
			if r.Kind == record.Sweep {
				e.Subject = "a sweep of"
			}
			e.Subject += fmt.Sprintf(" %s on %s", g.In, r.Machine.CPU)
			if cores := r.Machine.Processors(); cores != "" {
				e.Subject += ", " + cores
			}
		}
		e.Lanes = append(e.Lanes, verdict(&sane, l))
	}
	for _, m := range r.Missing {
		if m.API != "" { // a device was looked for: its engine is not on the GPU
			e.Missing = append(e.Missing, m)
		}
	}
	return e
}

func verdict(r *record.Run, l *bench.Result) record.Verdict {
	v := record.Verdict{Lane: cmp.Or(l.Lane, l.Engine+"/"+l.Device.ID), Label: l.Label(), Op: l.GEMM.Op()}
	if r.Kind == record.Sweep {
		v.Label += ", " + unit.Cube(l.GEMM.M, l.GEMM.N, l.GEMM.K)
	}
	speed, ok := l.Speed()
	if !ok {
		v.Standing = "not measured"
		if l.Error != nil {
			v.Standing = "failed: " + l.Error.Message
		}
		return v
	}
	v.Speed = speed.Value
	var standing []string
	if p := l.Facts.Peak; p != nil && *p > 0 {
		share := v.Speed / *p
		v.Slow = share < fairShare
		standing = append(standing, fmt.Sprintf("%s of its peak of %s", unit.Percent(share), l.GEMM.Rate(*p)))
	}
	if best := fastest(r, l); best != nil {
		if share := v.Speed / rate(best); share < 1 {
			v.Slow = v.Slow || share < fairShare
			standing = append(standing, fmt.Sprintf("%s of %s", unit.Percent(share), best.Device.Label()))
		} else if alike(l, best) {
			standing = append(standing, fmt.Sprintf("%s× %s", unit.Times(share), best.Device.Label()))
		} else { // how much faster says nothing
			standing = append(standing, "not slower than "+best.Device.Label())
		}
	}
	v.Standing = cmp.Or(strings.Join(standing, ", "), "no peak and no other lane to compare it with")
	if !l.Verified() {
		v.Standing += ", not verified"
	}
	v.Slow = v.Slow || l.Device.Kind == hardware.SoftwareGPU || len(standing) == 0
	if !v.Slow {
		return v
	}
	for _, look := range causes {
		v.Causes = append(v.Causes, look(r, l)...)
	}
	slices.SortStableFunc(v.Causes, func(a, b record.Cause) int { return cmp.Compare(b.Factor, a.Factor) })
	return v
}

// fastest returns what a lane is compared with: for a GPU that is slower than a
// CPU that CPU, else the fastest other lane of its kind; both on the same product.
func fastest(r *record.Run, l *bench.Result) *bench.Result {
	var best, cpu *bench.Result
	for _, o := range r.Results {
		if o == l || !o.Verified() || o.GEMM != l.GEMM || o.Protocol != l.Protocol {
			continue
		}
		if o.Device.Kind == l.Device.Kind && (best == nil || rate(o) > rate(best)) {
			best = o
		}
		if o.Device.Kind == hardware.CPU && l.Device.Kind != hardware.CPU && (cpu == nil || rate(o) > rate(cpu)) {
			cpu = o
		}
	}
	if cpu != nil && (rate(cpu) > rate(l) || best == nil) {
		return cpu
	}
	return best
}

// alike reports whether a ratio of two lanes may be said.
func alike(l, base *bench.Result) bool {
	odd := func(x *bench.Result) bool { return x.Has(measure.Interrupted) || x.Has(measure.Smaller) }
	return len(bench.Compare(l, base).Differs) == 0 && !odd(l) && !odd(base)
}

func rate(l *bench.Result) float64 {
	s, _ := l.Speed()
	return s.Value
}
