package record

import (
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// Scaling is what training one transformer on more and more ranks came to.
type Scaling struct {
	Model     string        `json:"model"` // the name of its shape; empty for a shape of its own
	Shape     scaling.Shape `json:"shape"`
	DType     string        `json:"dtype"`               // of weights, gradients, moments and activations: float32 or bfloat16
	Weak      bool          `json:"weak,omitempty"`      // the batch grows with the ranks; otherwise it is divided over them
	Rehearsal bool          `json:"rehearsal,omitempty"` // the ranks are processes on CPUs
	Worlds    []World       `json:"worlds"`              // in the order in which they were measured
}

// A World is what a number of ranks did together.
type World struct {
	Ranks        int          `json:"ranks"`
	Batch        int          `json:"batch"`                  // sequences of one step of all ranks
	Microbatches int          `json:"microbatches,omitempty"` // of the pipeline; 0: it was not measured
	Torch        string       `json:"torch"`                  // the version of PyTorch
	Backend      string       `json:"backend"`                // of torch.distributed: nccl or gloo
	NCCL         string       `json:"nccl,omitempty"`
	Threads      int          `json:"threads"`          // that each rank computes with on a CPU
	Devices      []string     `json:"devices"`          // of each rank
	Hosts        []string     `json:"hosts"`            // of each rank, as they name themselves
	Memory       int64        `json:"memory,omitempty"` // bytes of a GPU; 0: not known
	Collectives  []Collective `json:"collectives,omitempty"`
	Overlap      *Overlap     `json:"overlap,omitempty"`
	Shares       []Share      `json:"shares,omitempty"` // measured by one rank alone
	Steps        []Trained    `json:"steps,omitempty"`
}

// A Collective is an operation on a buffer of one size.
type Collective struct {
	Op      scaling.Op `json:"op"`
	Bytes   int64      `json:"bytes"`   // of the whole buffer, of which all_gather and reduce_scatter have a part on each rank
	Repeat  int        `json:"repeat"`  // operations in a sample, one after the other without waiting for each
	Seconds []float64  `json:"seconds"` // of one operation, on the slowest rank; one value per sample
}

// An Overlap is what came of computing and sending at once. All series are in seconds on
// the slowest rank, one value per sample.
type Overlap struct {
	Compute  []float64 `json:"compute"`  // a forward and a backward pass alone
	Messages []float64 `json:"messages"` // all-reduces alone, about half as long
	Both     []float64 `json:"both"`
}

// A Share is what one rank of several has to compute, measured on one device alone with
// the strategy over one rank: what the strategy itself costs is a part of it, messages are
// not.
type Share struct {
	Strategy   scaling.Strategy `json:"strategy"`
	Parts      int              `json:"parts"`                 // the number of ranks
	Stage      int              `json:"stage,omitempty"`       // of a pipeline, which stands for equal ones behind it
	Seconds    []float64        `json:"seconds"`               // of forward and backward pass; of a pipeline, of one microbatch
	Update     []float64        `json:"update"`                // seconds of the optimizer
	Busy       float64          `json:"busy,omitempty"`        // seconds in which the device did something during one call of Seconds, by PyTorch's profiler; 0: not known
	Peak       *int64           `json:"peak,omitempty"`        // the most bytes allocated in forward and backward pass; nil: not counted on a CPU
	UpdatePeak *int64           `json:"update_peak,omitempty"` // likewise by the optimizer
	Kept       *int64           `json:"kept,omitempty"`        // bytes that the forward pass of a stage leaves for the backward pass
	Held       Held             `json:"held"`
	Failed     string           `json:"failed,omitempty"` // why it has no figures
}

// Held is what a rank keeps between steps, in bytes.
type Held struct {
	Weights   int64 `json:"weights"`
	Gradients int64 `json:"gradients"`
	Optimizer int64 `json:"optimizer"`
}

// Total returns the sum.
func (h Held) Total() int64 { return h.Weights + h.Gradients + h.Optimizer }

// Trained is a step of training with a strategy.
type Trained struct {
	Strategy scaling.Strategy `json:"strategy"`
	Seconds  []float64        `json:"seconds"` // of one step, on the slowest rank; one value per sample
	// Losses are those of the first two steps, and Reference those of one device that
	// computes the whole batch; Reference is empty where the model has no room on one.
	Losses    []float64 `json:"losses"`
	Reference []float64 `json:"reference,omitempty"`
	// GradientError is the largest ‖g − r‖/‖r‖ of a tensor's gradient g in the first step
	// and that of the reference, with a floor for tensors whose gradient is close to 0.
	GradientError float64   `json:"gradient_error"`
	Rounding      *Rounding `json:"rounding,omitempty"` // how far the type's rounding moves the reference; nil for float32
	Peak          []int64   `json:"peak,omitempty"`     // the most bytes allocated on each rank; empty on CPUs
	Held          []Held    `json:"held,omitempty"`     // by each rank
	Timeline      []Lived   `json:"timeline,omitempty"` // of one step, for each rank; empty where PyTorch's profiler does not work
	// Error says why there are no figures, such as that the memory of a rank was too small.
	Error *fault.Error `json:"error,omitempty"`
}

// Rounding is how far the reference is from the same in float32, measured as the errors of
// Trained are.
type Rounding struct {
	Loss     float64 `json:"loss"`
	Gradient float64 `json:"gradient"`
}

// Lived is what a rank did in one step, which the profiler made somewhat slower.
type Lived struct {
	Compute     Busy    `json:"compute"`
	Communicate Busy    `json:"communicate"` // waiting for the other side of a message is a part of it
	Hidden      float64 `json:"hidden"`      // seconds in which both went on at once
}

// End returns when a rank did something last, in seconds since its first span.
func (l Lived) End() float64 {
	end := 0.0
	for _, spans := range [][][2]float64{l.Compute.Spans, l.Communicate.Spans} {
		for _, s := range spans {
			end = max(end, s[1])
		}
	}
	return end
}

// Busy is when a rank did something.
type Busy struct {
	Seconds float64      `json:"busy"`
	Spans   [][2]float64 `json:"spans"` // from and to in seconds since the rank's first; of very many, neighbours are joined
}
