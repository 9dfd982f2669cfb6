package judge

import (
	"slices"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
)

// Outcome reports whether a run came to what was asked for: a measurement without a
// lane that failed. asked says that engines were asked for by name, so that one that
// is missing is a failure too. An interrupted run is judged by what it has.
func Outcome(r *record.Run, asked bool) bool {
	if r.Error != nil {
		return false
	}
	switch r.Kind {
	case record.Race, record.MatMul, record.Inputs:
		absent := func(m record.Missing) bool { return m.API == "" }
		return r.Measured() && !failed(r.Results, fault.Unsupported) && !(asked && slices.ContainsFunc(r.Missing, absent))
	case record.Sweep: // at some sizes a lane may be too slow or too large
		return r.Measured() && !failed(r.Results, fault.Unsupported, fault.Timeout, fault.OutOfMemory)
	case record.LLM:
		for _, x := range tokenLanes(r.Tokens) {
			if x.Error != nil || x.Check != nil && !x.Check.Passed {
				return false
			}
		}
	case record.Scale: // a strategy may need more memory than there is
		return r.Measured() && !slices.ContainsFunc(ScaledOf(r.Scaling), func(x Scaled) bool {
			return x.Wrong || x.Step != nil && x.Step.Error != nil && x.Step.Error.Code != fault.OutOfMemory
		})
	case record.GPUs:
		if len(r.Cards) > 0 && !ReachesGPU(r) {
			return false
		}
		return len(r.GPUs) > 0 && !slices.ContainsFunc(r.GPUs, func(g record.GPU) bool {
			return g.Error != nil || g.Fastest != nil && (g.Fastest.Error != nil || g.Fastest.Best() == nil)
		})
	case record.Doctor:
		return !slices.ContainsFunc(r.Checks, func(c record.Check) bool { return c.Status == record.Failed })
	}
	return true
}

// failed reports whether a lane has an error other than those that are excused.
func failed(results []*bench.Result, excused ...fault.Code) bool {
	return slices.ContainsFunc(results, func(r *bench.Result) bool { return r.Error != nil && !slices.Contains(excused, r.Error.Code) })
}
