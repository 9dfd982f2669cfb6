package scaling

// A Precision is how many bytes a value takes.
type Precision struct {
	Weights, Gradients, Optimizer float64 // for each parameter
	Activations                   float64 // for each value that is kept for the backward pass
}

// Recompute is what the backward pass computes again, to save memory.
type Recompute int

const (
	RecomputeNothing   Recompute = iota // all activations are kept, those of size Seq² too
	RecomputeAttention                  // what has the size Seq² is not kept: selective recomputation, or fused attention
	RecomputeAll                        // only the input of each block is kept
)

// A Split is how a step is divided over Data·Tensor·Pipeline ranks. A pipeline's schedule is
// 1F1B.
type Split struct {
	Data, Tensor, Pipeline int  // at least 1 each
	Zero                   int  // what is divided over Data: 1: the optimizer; 2: gradients too; 3: weights too, as FSDP does; 0: nothing
	Sequence               bool // the parts that Tensor does not divide are divided along the sequence
	Microbatch             int  // sequences that a rank computes at once
	Microbatches           int  // that a rank computes in a step, one after the other
	Recompute              Recompute
}

// Ranks returns how many devices the split takes.
func (x Split) Ranks() int { return x.Data * x.Tensor * x.Pipeline }

// InFlight returns for how many microbatches a stage, counted from 0, holds activations.
func (x Split) InFlight(stage int) int {
	if x.Pipeline == 1 {
		return 1
	}
	return min(x.Microbatches, x.Pipeline-stage)
}

// Memory is what one rank holds, in bytes.
type Memory struct {
	Weights     float64 `json:"weights"`
	Gradients   float64 `json:"gradients"`
	Optimizer   float64 `json:"optimizer"`
	Activations float64 `json:"activations"` // kept for the backward pass, logits among them
	Buffers     float64 `json:"buffers"`     // what communication needs
}

// Total returns the sum.
func (m Memory) Total() float64 {
	return m.Weights + m.Gradients + m.Optimizer + m.Activations + m.Buffers
}

// Memory returns what the fullest rank holds. Frameworks need more: a context of half a
// gigabyte for each GPU, workspaces of libraries, and what the allocator cannot use.
func (s Shape) Memory(x Split, p Precision) Memory {
	fullest := s.StageMemory(x, p, 0)
	for stage := 1; stage < x.Pipeline; stage++ {
		if m := s.StageMemory(x, p, stage); m.Total() > fullest.Total() {
			fullest = m
		}
	}
	return fullest
}

// Blocks returns how many blocks a stage has: the first ones have one more where they
// cannot be divided equally.
func (s Shape) Blocks(pipeline, stage int) int {
	n := s.Layers / pipeline
	if stage < s.Layers%pipeline {
		n++
	}
	return n
}

// StageParams returns the parameters of one rank of a stage. The norms and the positions,
// which Tensor does not divide, are counted as if it did: they are less than a thousandth.
func (s Shape) StageParams(x Split, stage int) float64 {
	n := int64(s.Blocks(x.Pipeline, stage)) * s.LayerParams()
	if stage == 0 {
		n += s.InputParams()
	}
	if stage == x.Pipeline-1 {
		n += s.OutputParams()
		if s.Tied && x.Pipeline > 1 { // the last stage has a copy
			n += s.Embedding()
		}
	}
	return float64(n) / float64(x.Tensor)
}

// StageMemory returns what each rank of a stage of the pipeline holds.
func (s Shape) StageMemory(x Split, p Precision, stage int) Memory {
	n, d := s.StageParams(x, stage), float64(x.Data)
	share := func(zero int) float64 {
		if x.Zero >= zero {
			return d
		}
		return 1
	}
	m := Memory{
		Weights:   n * p.Weights / share(3),
		Gradients: n * p.Gradients / share(2),
		Optimizer: n * p.Optimizer / share(1),
	}
	tokens := float64(x.Microbatch) * float64(s.Seq)
	m.Activations = float64(x.InFlight(stage)) * float64(s.Blocks(x.Pipeline, stage)) * s.BlockActivations(x, p)
	if x.Recompute == RecomputeAll { // one block at a time is computed again
		once := x
		once.Recompute = RecomputeAttention
		m.Activations += s.BlockActivations(once, p)
	}
	if stage == x.Pipeline-1 { // logits in float32 and their gradient
		m.Activations += 2 * 4 * tokens * float64(s.Vocab) / float64(x.Tensor)
	}
	if x.Data > 1 {
		switch block := float64(s.LayerParams()) / float64(x.Tensor); {
		case x.Zero == 3: // two gathered blocks, and the gradient of one
			m.Buffers = block * (2*p.Weights + p.Gradients)
		default: // buckets of 25 MiB, as DistributedDataParallel has them
			m.Buffers = min(25<<20, n*p.Gradients)
		}
	}
	return m
}

// BlockActivations returns what one block keeps of one microbatch for the backward pass,
// on each rank: Korthikanti et al. 2022 (arXiv:2205.05198), equations 1 to 4 and 6, but
// without dropout. Of the 34·s·b·h bytes there, 2·s·b·h are masks of dropout; of the
// 5·a·s²·b bytes only the probabilities remain, 2·a·s²·b. A gated MLP keeps three values
// of its width instead of two.
func (s Shape) BlockActivations(x Split, p Precision) float64 {
	tokens, width, t := float64(x.Microbatch)*float64(s.Seq), float64(s.Width), float64(x.Tensor)
	if x.Recompute == RecomputeAll {
		if x.Sequence {
			return tokens * width * p.Activations / t
		}
		return tokens * width * p.Activations
	}
	// Inputs of two norms, of the first product of attention and of the MLP.
	whole := 4 * width
	if x.Sequence {
		whole /= t
	}
	mlp := 2 * float64(s.MLP()) // before and after the activation function
	if s.Gated {
		mlp = 3 * float64(s.MLP())
	}
	divided := (width + 2*float64(s.kv()) + width + mlp) / t // queries, keys, values, the input of the last product of attention, and the MLP
	if x.Recompute == RecomputeNothing {
		divided += float64(s.Heads) * float64(s.Seq) / t // probabilities
	}
	return tokens * (whole + divided) * p.Activations
}
