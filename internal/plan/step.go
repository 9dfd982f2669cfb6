package plan

import (
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// Bytes for each parameter: weights in bfloat16, gradients summed in float32, and Adam's
// moments with weights in float32. Megatron-LM trains like this in bfloat16 (its
// documentation of the distributed optimizer: 18 bytes, or 6 + 12/d), and FSDP2 reduces
// gradients in float32.
var precision = scaling.Precision{Weights: 2, Gradients: 4, Optimizer: 12, Activations: 2}

// optimizerTraffic is how many bytes Adam reads and writes for each parameter: its 12 bytes
// twice, the gradient, and the weight in 16 bits.
const optimizerTraffic = 12 + 12 + 4 + 2

// Needs returns how many bytes a card must have for a layout: what the model counts, a tenth
// more for what it does not count, such as workspaces and what the allocator cannot use, and
// 2 GB for CUDA's context and the buffers of NCCL. The tenth covers every published figure
// (TestRuleNeeds).
func (l Layout) Needs() float64 { return 1.1*l.Memory.Total() + 2e9 }

// Fits reports whether a GPU has the memory that a layout needs.
func (l Layout) Fits(g GPU) bool { return l.Needs() <= g.Memory.Value }

// A Layout is one way to divide a step, with the memory and the time that it takes.
type Layout struct {
	scaling.Split
	// Chunks are the parts of each stage of a pipeline that take turns (interleaved 1F1B).
	Chunks  int
	Memory  scaling.Memory // that the model counts, of the fullest GPU
	Time    Time
	Seconds float64 // of a step: the sum of Time
	// Unhidden is how long a step would take if no communication of data parallelism were
	// hidden behind computing.
	Unhidden float64
}

// Time is what the seconds of a step are spent on.
type Time struct {
	Products  float64 `json:"products"`  // products of matrices
	Attention float64 `json:"attention"` // scores and their products with values
	Streaming float64 `json:"streaming"` // norms, activation functions, sums, the loss: reading and writing memory
	Recompute float64 `json:"recompute"` // all of these again, to save memory
	Tensor    float64 `json:"tensor"`    // communication of tensor parallelism
	Pipeline  float64 `json:"pipeline"`  // messages between stages, and waiting for them: the bubble
	Data      float64 `json:"data"`      // communication of data parallelism that computing does not hide
	Optimizer float64 `json:"optimizer"` // the optimizer's step
}

func (t Time) sum() float64 {
	return t.Products + t.Attention + t.Streaming + t.Recompute + t.Tensor + t.Pipeline + t.Data + t.Optimizer
}

// A cluster is what a step runs on.
type cluster struct {
	gpu     GPU
	network Network
	node    int // GPUs of a node
}

// link returns what messages cost among ranks that lie in groups of g on each node: those
// of one node use NVLink; a ring over several nodes uses the network of all g, and pays its
// latency once for each node.
func (c cluster) link(ranks, g int) (l scaling.Link, hops int) {
	inside := scaling.Link{Alpha: nvlinkAlpha.Value, Flat: true}
	if c.gpu.NVLink.Value > 0 {
		inside.Beta = 1 / (nvlinkShare.Value * c.gpu.NVLink.Value)
	}
	if ranks <= g {
		return inside, 0
	}
	bandwidth := min(nvlinkShare.Value*c.gpu.NVLink.Value, networkShare.Value*c.network.Bandwidth.Value*float64(g))
	return scaling.Link{Alpha: nvlinkAlpha.Value, Beta: 1 / bandwidth, Flat: true}, (ranks+g-1)/g - 1
}

// collective returns the seconds of an operation on n bytes over ranks.
func (c cluster) collective(o scaling.Op, ranks, g int, n float64) float64 {
	if ranks < 2 {
		return 0
	}
	l, hops := c.link(ranks, g)
	passes := 1.0
	if o == scaling.AllReduce {
		passes = 2
	}
	return l.Seconds(o, ranks, n) + passes*float64(hops)*networkAlpha.Value
}

// work is what one microbatch of one block, or of the logits, costs one GPU: seconds of the
// forward and of the backward pass.
type work struct{ products, attention, streaming, tensor [2]float64 }

func (w work) forward() float64 {
	return w.products[0] + w.attention[0] + w.streaming[0] + w.tensor[0]
}
func (w work) sum() float64 {
	return w.forward() + w.products[1] + w.attention[1] + w.streaming[1] + w.tensor[1]
}

// product adds a product of tokens with a matrix of that many rows and columns; the backward
// pass computes two of the same size.
func (w *work) product(g GPU, tokens, rows, columns float64) {
	multiplications := tokens * rows * columns
	t := 2 * multiplications / (g.Peak.Value * g.productShare(multiplications))
	w.products[0] += t
	w.products[1] += 2 * t
}

// block returns the work of a block. fused: attention never writes what has the size Seq²,
// and computes only the half of it that is used.
func (c cluster) block(s scaling.Shape, x scaling.Split, fused bool) work {
	var w work
	g := c.gpu
	tokens, t := float64(x.Microbatch)*float64(s.Seq), float64(x.Tensor)
	width, mlp := float64(s.Width), float64(s.MLP())
	kv := width
	if s.KVHeads > 0 {
		kv *= float64(s.KVHeads) / float64(s.Heads)
	}
	w.product(g, tokens, width, (width+2*kv)/t)
	w.product(g, tokens, width/t, width)
	up := mlp
	if s.Gated {
		up *= 2
	}
	w.product(g, tokens, width, up/t)
	w.product(g, tokens, mlp/t, width)

	// Scores and their products with values: two products of Seq·Width for each token. The
	// backward pass of the fused kernel computes five instead of four, since it does the
	// scores again.
	scores := 4 * tokens * float64(s.Seq) * width / t / (g.Peak.Value * g.Attention.Value)
	w.attention = [2]float64{scores, 2 * scores}
	if fused {
		w.attention = [2]float64{scores / 2, 2.5 * scores / 2}
	}

	// Values of 2 bytes that the forward pass reads or writes outside of products: two norms
	// (2 each), two sums (3 each), positions on queries and keys, the activation function.
	// Without a gate also two masks, of half a value, and no positions.
	values := 10*width + 2*(width+kv) + 3*mlp
	if !s.Gated {
		values = 11*width + 2*mlp
	}
	if !fused { // scale and mask, softmax, dropout: read and write, and the mask
		values += 4.5 * float64(s.Heads) * float64(s.Seq)
	}
	seconds := tokens * 2 * values / t / (g.Bandwidth.Value * g.Streaming.Value)
	// The backward pass reads the gradient and what was kept, and writes a gradient.
	w.streaming = [2]float64{seconds, 1.5 * seconds}

	// All-gather and reduce-scatter around attention and around the MLP, in either direction.
	n := tokens * width * precision.Activations
	pair := c.collective(scaling.AllGather, x.Tensor, c.node, n) + c.collective(scaling.ReduceScatter, x.Tensor, c.node, n)
	w.tensor = [2]float64{2 * pair, 2 * pair}
	return w
}

// head returns the work of the logits and the loss.
func (c cluster) head(s scaling.Shape, x scaling.Split) work {
	var w work
	tokens, t := float64(x.Microbatch)*float64(s.Seq), float64(x.Tensor)
	w.product(c.gpu, tokens, float64(s.Width), float64(s.Vocab)/t)
	// Logits become float32 (read 2 bytes, write 4), are read by the loss, and on the way
	// back written, read and made 16 bits again.
	rate := c.gpu.Bandwidth.Value * c.gpu.Streaming.Value
	w.streaming = [2]float64{tokens * float64(s.Vocab) / t * 10 / rate, tokens * float64(s.Vocab) / t * 10 / rate}
	return w
}

// layout works out a split. With several chunks, the bubble of a pipeline is that much shorter,
// and its first stage holds more (Narayanan et al. 2021, section 2.2; Korthikanti et al. 2022,
// section 4.2.3).
func (c cluster) layout(s scaling.Shape, x scaling.Split, chunks int, fused bool) Layout {
	l := Layout{Split: x, Chunks: chunks, Memory: s.Memory(x, precision)}
	if chunks > 1 {
		l.Memory.Activations *= 1 + float64(x.Pipeline-1)/float64(x.Pipeline*chunks)
	}
	block, head := c.block(s, x, fused), c.head(s, x)
	again := 0.0
	switch {
	case x.Recompute == scaling.RecomputeAll:
		again = block.forward()
	case x.Recompute == scaling.RecomputeAttention && !fused:
		again = block.attention[0] + block.streaming[0]
	}
	hop := 0.0
	if x.Pipeline > 1 {
		n := float64(x.Microbatch) * float64(s.Seq) * float64(s.Width) * precision.Activations / float64(x.Tensor)
		hop = networkAlpha.Value + n/(networkShare.Value*c.network.Bandwidth.Value)
		if x.Ranks() <= c.node {
			hop = nvlinkAlpha.Value + n/(nvlinkShare.Value*c.gpu.NVLink.Value)
		}
	}
	// Each stage sends and receives once for each microbatch, pass and chunk.
	stages, slowest := make([]float64, x.Pipeline), 0
	for i := range stages {
		stages[i] = float64(s.Blocks(x.Pipeline, i)) * (block.sum() + again)
		if i == x.Pipeline-1 {
			stages[i] += head.sum()
		}
		stages[i] += 2 * hop * float64(chunks)
		if stages[i] > stages[slowest] {
			slowest = i
		}
	}
	m := float64(x.Microbatches)
	total := m*stages[slowest] + (sum(stages)-stages[slowest])/float64(chunks)

	// What the slowest stage does, m times; the rest of the pipeline's time is waiting.
	blocks := m * float64(s.Blocks(x.Pipeline, slowest))
	both := func(of [2]float64) float64 { return blocks * (of[0] + of[1]) }
	l.Time = Time{Products: both(block.products), Attention: both(block.attention), Streaming: both(block.streaming), Tensor: both(block.tensor), Recompute: blocks * again}
	if slowest == x.Pipeline-1 {
		l.Time.Products += m * (head.products[0] + head.products[1])
		l.Time.Streaming += m * (head.streaming[0] + head.streaming[1])
	}
	l.Time.Pipeline = total - l.Time.sum()

	params := s.StageParams(x, slowest)
	owned := params
	if x.Zero > 0 {
		owned /= float64(x.Data)
	}
	l.Time.Optimizer = owned * optimizerTraffic / (c.gpu.Bandwidth.Value * c.gpu.Streaming.Value)

	forward := float64(s.Blocks(x.Pipeline, slowest)) * block.forward()
	backward := float64(s.Blocks(x.Pipeline, slowest)) * (block.sum() - block.forward() + again)
	l.Time.Data, l.Unhidden = c.data(s, x, params, forward, backward)
	l.Seconds = l.Time.sum()
	l.Unhidden += l.Seconds - l.Time.Data
	return l
}

// data returns the seconds of data parallelism's communication: what computing does not
// hide, and all of it. forward and backward are the seconds of a microbatch behind which it
// can be hidden; the first and the last block's have nothing in front or behind.
func (c cluster) data(s scaling.Shape, x scaling.Split, params, forward, backward float64) (exposed, all float64) {
	if x.Data < 2 {
		return 0, 0
	}
	g := max(1, c.node/x.Tensor) // ranks of the group on a node
	blocks := float64(s.Blocks(x.Pipeline, 0))
	gradients := func(o scaling.Op, parts float64) float64 {
		return parts * c.collective(o, x.Data, g, precision.Gradients*params/parts)
	}
	gather := func(parts float64) float64 {
		return parts * c.collective(scaling.AllGather, x.Data, g, precision.Weights*params/parts)
	}
	hidden := func(comm, room float64) float64 {
		return max(comm/blocks, scaling.Exposed(comm, room, 1))
	}
	switch x.Zero {
	case 3: // each block by itself, for every microbatch and pass
		m, in, out := float64(x.Microbatches), gather(blocks), gradients(scaling.ReduceScatter, blocks)
		return m * (hidden(in, forward) + hidden(in+out, backward)), m * (2*in + out)
	case 0:
		all = gradients(scaling.AllReduce, blocks)
		return hidden(all, backward), all
	}
	in, out := gather(blocks), gradients(scaling.ReduceScatter, blocks)
	return hidden(in, forward) + hidden(out, backward), in + out
}

func sum(list []float64) (total float64) {
	for _, x := range list {
		total += x
	}
	return total
}
