package scaling

// A tally counts the bytes that are allocated, and keeps the most that there were.
type tally struct{ now, most float64 }

func (t *tally) take(bytes float64) {
	t.now += bytes
	t.most = max(t.most, t.now)
}

func (t *tally) free(bytes float64) { t.now -= bytes }

// ShardedPeak returns the most bytes that a rank has allocated during the forward and the
// backward pass of PyTorch's fully_shard, where each block, what is before the blocks and
// what is behind them are gathered separately. between is what the rank holds before the
// step, without gradients; tokens are those that it computes, and value is the size of a
// number in bytes. The model is that of gpuplay scale run.
//
// It follows the order in which PyTorch allocates and frees (torch/distributed/fsdp/
// _fully_shard/_fsdp_param_group.py and _fsdp_collectives.py of PyTorch 2.11):
//
//   - A module's weights are gathered into one buffer and copied from there into tensors of
//     their own; in the backward pass the buffer is freed when it has been copied, and the
//     buffer of the module in front is gathered next.
//   - A module's whole gradients are copied into the input of a reduce-scatter before they
//     are freed. That input is kept until the next module's gradients are reduced.
//   - Over one rank nothing is gathered, but weights and gradients are copied all the same.
//   - The loss is computed in float32: its log-probabilities and two gradients of that size
//     exist at once, when nothing is gathered.
func (s Shape) ShardedPeak(ranks int, tokens, value, between float64) float64 {
	d, vocab, p := float64(s.Width), float64(s.Vocab), float64(ranks)
	var (
		square  = d * d * value      // bytes of a matrix of Width × Width
		states  = tokens * d * value // of the activations between two operations
		norm    = 8 * tokens         // of a mean and a deviation of each token, in float32
		scores  = 4 * tokens * float64(s.Heads)
		logits  = tokens * vocab * value
		chances = tokens * vocab * 4 // log-probabilities
		input   = float64(s.InputParams()) * value
		block   = float64(s.LayerParams()) * value
		output  = float64(s.OutputParams()) * value
	)
	t := &tally{now: between, most: between}
	gather := func(bytes float64) { // into a buffer
		if ranks > 1 {
			t.take(bytes)
		}
	}
	unpack := func(bytes float64) { // out of it
		t.take(bytes)
		if ranks > 1 {
			t.free(bytes)
		}
	}
	sending := 0.0
	reduce := func(bytes float64) { // the weights are freed first
		t.free(bytes)
		t.free(sending)
		t.take(bytes)
		t.free(bytes) // whole gradients
		t.take(bytes / p)
		sending = bytes
	}

	// Forward: each block keeps the inputs of its four products and two norms, queries, keys
	// and values, what the activation function gets, and what attention returns.
	t.take(float64(s.Layers)*(16*states+2*norm+scores) + 2*states + norm + chances)
	t.take(2 * chances)
	t.free(2 * chances)
	if logits != chances {
		t.take(logits)
		t.free(chances)
	}

	// Backward, from behind.
	gather(output)
	unpack(output)
	gather(block)
	t.take(states + output)
	t.free(logits + states)
	t.take(states)
	t.free(2*states + norm)
	reduce(output)
	for i := range s.Layers {
		unpack(block)
		if i < s.Layers-1 {
			gather(block)
		} else {
			gather(input)
		}
		t.take(4*states + 4*square) // the second product of the MLP: gradients of its input and weights
		t.free(4 * states)
		t.take(4 * states) // the activation function
		t.free(8 * states)
		t.take(states + 4*square) // the first product
		t.free(5 * states)
		t.take(states) // the norm, and the sum with what went around the MLP
		t.free(2*states + norm)
		t.take(states)
		t.free(2 * states)
		t.take(states + square) // the product behind attention
		t.take(3 * states)      // attention
		t.free(5*states + scores)
		t.take(3 * states) // one gradient of queries, keys and values
		t.free(3 * states)
		t.take(states + 3*square) // their product
		t.free(4 * states)
		t.take(states)
		t.free(2*states + norm)
		t.take(states)
		t.free(2 * states)
		t.take(block - 12*square) // biases and norms
		reduce(block)
	}
	unpack(input)
	t.take(input)
	reduce(input)
	return t.most
}
