package scaling

// Alone is what one rank of a number computes, measured on one device with no messages.
type Alone struct {
	Seconds    float64 // of forward and backward pass; of a pipeline, of one microbatch
	Update     float64 // seconds of the optimizer
	Held       float64 // bytes of weights, gradients and moments; this and the next four are 0 where bytes are not counted
	Gradients  float64 // of Held
	Peak       float64 // bytes during forward and backward pass
	UpdatePeak float64 // bytes during the update
	Kept       float64 // bytes that the forward pass of a stage leaves for the backward pass
}

// Inputs are what a prediction is made from.
type Inputs struct {
	Shape        Shape
	Value        float64 // bytes of a parameter, a gradient or an activation
	Ranks        int
	Batch        int // sequences of a step of all ranks
	Microbatches int // of a pipeline
	// Alone is what a rank computes; of a pipeline one for each stage.
	Alone    []Alone
	Messages map[Op]Curve // over as many ranks; SendRecv over two
	// Workspace is what a rank has allocated beside weights, gradients, moments and
	// activations, in bytes: mostly the workspaces of cuBLAS.
	Workspace float64
	// Hidden is the share of communication that computing hides where both go on at once,
	// from 0 to 1.
	Hidden float64
}

// A Prediction is how long a step takes, by the model, and what the fullest rank needs.
type Prediction struct {
	Seconds float64
	Compute float64 // of Seconds: what a rank computes
	Exposed float64 // of Seconds: communication that nothing hides
	Sent    float64 // bytes that one rank sends in a step
	Memory  float64 // bytes of the fullest rank at its fullest; 0: not known
}

// backward is the share of the backward pass in the time of both: it computes twice as
// much.
const backward = 2. / 3

// Predict returns what the model says of a step with a strategy.
func Predict(s Strategy, in Inputs) Prediction {
	if len(in.Alone) == 0 {
		return Prediction{}
	}
	one := in.Alone[0]
	var p Prediction
	cost := func(op Op, n float64, times float64) float64 {
		ranks := in.Ranks
		if op == SendRecv {
			ranks = 2
		}
		p.Sent += times * n * op.Share(ranks)
		return times * in.Messages[op].Seconds(n)
	}
	p.Compute, p.Memory = one.Seconds+one.Update, max(one.Peak, one.UpdatePeak)
	comm, room := 0.0, 0.0
	switch s {
	case DP:
		comm = cost(AllReduce, float64(in.Shape.Params())*in.Value, 1)
	case DDP:
		for _, n := range buckets(float64(in.Shape.Params()) * in.Value) {
			comm += cost(AllReduce, n, 1)
		}
		room = backward * one.Seconds
	case FSDP:
		d := float64(in.Ranks)
		p.Compute = one.Seconds + one.Update/d
		for _, n := range in.Shape.units(in.Value) {
			comm += cost(AllGather, n, 2) + cost(ReduceScatter, n, 1)
		}
		room = one.Seconds
		if p.Memory > 0 {
			tokens := float64(in.Batch) / d * float64(in.Shape.Seq)
			between := one.Held - one.Gradients
			// The update needs one more tensor of the size of the weights, which is that of the
			// gradients. What one rank holds beyond that is what is left of its preparation, and
			// most likely waits for Python to collect it.
			uncollected := one.UpdatePeak - one.Held - one.Gradients - in.Workspace
			alone := in.Shape.ShardedPeak(1, tokens, in.Value, between+in.Workspace)
			more := max(0, one.Peak-uncollected-alone) // such as another kind of attention keeps
			p.Memory = max(in.Shape.ShardedPeak(in.Ranks, tokens, in.Value, between/d+in.Workspace)+more, (one.Held+one.Gradients)/d+in.Workspace)
		}
	case TP:
		// Each block's two products that end in sums are followed by one, and so is the
		// gradient of the inputs of the two that begin; the embedding and the logits have
		// one each. The loss is put together from three numbers for each token.
		tokens := float64(in.Batch) * float64(in.Shape.Seq)
		comm = cost(AllReduce, tokens*float64(in.Shape.Width)*in.Value, 4*float64(in.Shape.Layers)+2) + cost(AllReduce, 4*tokens, 3)
	case PP:
		return in.pipeline()
	}
	p.Exposed = Exposed(comm, room, in.Hidden)
	p.Seconds = p.Compute + p.Exposed
	return p
}

// pipeline predicts 1F1B.
func (in Inputs) pipeline() Prediction {
	var p Prediction
	var stages []float64
	update := 0.0
	m := in.Microbatches
	for i, a := range in.Alone {
		stages = append(stages, a.Seconds)
		update = max(update, a.Update)
		p.Compute = max(p.Compute, float64(m)*a.Seconds+a.Update)
		if a.Peak > 0 {
			// PyTorch keeps what a stage has received and returned of all microbatches until
			// the next step; the last stage returns logits.
			inFlight, outputs := min(m, len(in.Alone)-i), in.Shape.Width
			if i == len(in.Alone)-1 {
				outputs = in.Shape.Vocab
			}
			messages := float64(in.Batch) * float64(in.Shape.Seq) * float64(outputs+in.Shape.Width) * in.Value
			p.Memory = max(p.Memory, messages+max(a.Peak+float64(inFlight-1)*a.Kept, a.UpdatePeak))
		}
	}
	n := float64(in.Batch) / float64(m) * float64(in.Shape.Seq) * float64(in.Shape.Width) * in.Value
	hop := in.Messages[SendRecv].Seconds(n)
	p.Sent = 2 * float64(m) * n // a stage between two others
	if len(stages) == 2 {
		p.Sent /= 2
	}
	p.Seconds = Pipeline(stages, m, hop) + update
	p.Exposed = 2 * float64(len(stages)-1) * hop
	return p
}

// buckets returns the sizes in which DistributedDataParallel sends gradients: one of
// 1 MiB and then of 25
// (https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html).
func buckets(n float64) []float64 {
	var list []float64
	for size := float64(1 << 20); n > 0; size = 25 << 20 {
		list = append(list, min(n, size))
		n -= size
	}
	return list
}

// units returns the bytes of what FSDP gathers at once: each block, and what is before
// and behind them.
func (s Shape) units(value float64) []float64 {
	list := []float64{float64(s.InputParams()) * value}
	for range s.Layers {
		list = append(list, float64(s.LayerParams())*value)
	}
	return append(list, float64(s.OutputParams())*value)
}
