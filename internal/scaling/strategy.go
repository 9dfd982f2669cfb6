package scaling

import "github.com/gpuplay/gpuplay/internal/fault"

// A Strategy is how a training step is divided over ranks.
type Strategy string

const (
	Single Strategy = "single" // one rank does it all
	DP     Strategy = "dp"     // each rank has the model and a part of the batch; one all-reduce of all gradients in the end
	DDP    Strategy = "ddp"    // the same, in buckets during the backward pass
	FSDP   Strategy = "fsdp"   // and weights, gradients and moments are divided too
	TP     Strategy = "tp"     // each rank has some heads and columns of each block
	PP     Strategy = "pp"     // each rank has some blocks, through which microbatches pass
)

// Strategies are all that divide anything.
var Strategies = []Strategy{DP, DDP, FSDP, TP, PP}

// Microbatches returns into how many microbatches a pipeline of p stages divides a batch:
// the most that divide it equally, up to four for each stage; 0 where there are fewer than
// stages, so that 1F1B cannot fill the pipeline.
func Microbatches(batch, p int) int {
	for m := 4 * p; m >= p; m-- {
		if m <= batch && batch%m == 0 {
			return m
		}
	}
	return 0
}

// Divisible refuses a division over p ranks that leaves a rest.
func (s Shape) Divisible(strategy Strategy, p, batch int) error {
	rest := func(what string, n int) error {
		if n%p == 0 {
			return nil
		}
		return fault.Errorf(fault.Invalid, "%d %s cannot be divided equally over %d ranks", n, what, p)
	}
	switch strategy {
	case DP, DDP, FSDP:
		return rest("sequences of the batch", batch)
	case TP:
		for _, x := range []struct {
			what string
			n    int
		}{{"heads", s.Heads}, {"columns of the MLP", s.MLP()}, {"tokens of the vocabulary", s.Vocab}} {
			if err := rest(x.what, x.n); err != nil {
				return err
			}
		}
	case PP:
		if s.Layers < p {
			return fault.Errorf(fault.Invalid, "%d layers are too few for a pipeline of %d stages", s.Layers, p)
		}
		if Microbatches(batch, p) == 0 {
			return fault.Errorf(fault.Invalid, "a batch of %d cannot be divided into %d to %d equal microbatches for a pipeline of %d stages", batch, p, 4*p, p)
		}
	}
	return nil
}
