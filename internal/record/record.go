// Package record is what a run comes to: one Run for everything that gpuplay
// measures, with all that is needed to judge it later, and nothing that follows from
// it. Ratios, sentences and verdicts are package judge's, and are worked out anew
// each time a record is read.
//
// A Run never changes once its lab has returned it. It holds no number that JSON does
// not have: what is not finite is absent. docs/run.schema.json describes the JSON form;
// files of versions before 0.2, which docs/v1 describes, are read too.
package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/topology"
	"github.com/gpuplay/gpuplay/internal/train"
)

// Schema names the version of the JSON form.
const Schema = "gpuplay/run/v2"

// A Kind is what was measured.
type Kind string

const (
	Race     Kind = "race"
	MatMul   Kind = "matmul"
	Sweep    Kind = "sweep"
	LLM      Kind = "llm"
	Generate Kind = "generate"
	Finetune Kind = "finetune"
	CPUs     Kind = "cpu"
	GPUs     Kind = "gpu"
	Learn    Kind = "learn"
	Inputs   Kind = "inputs" // one lane on inputs of every kind
	Doctor   Kind = "doctor"
	Scale    Kind = "scale"
	Imported Kind = "imported" // measured by another tool
)

// A Run is a measurement with all that is needed to judge it. Which of the fields
// below Error are set follows from Kind.
type Run struct {
	Schema      string          `json:"schema"`
	ID          string          `json:"id"` // sorts by time; empty in files of before 0.2
	Kind        Kind            `json:"kind"`
	Created     time.Time       `json:"created"` // when the run began, in whole seconds, UTC
	Elapsed     time.Duration   `json:"elapsed_ns,omitempty"`
	Program     Program         `json:"program"`
	Command     []string        `json:"command,omitempty"`
	Machine     host.Machine    `json:"machine"`
	Cards       []hardware.Card `json:"cards,omitempty"`     // the GPUs of this machine that are known, by number
	Threads     int             `json:"threads,omitempty"`   // CPU threads that were asked for; 0: left to the engines
	Repeat      int             `json:"repeat,omitempty"`    // timed runs of each lane that were asked for; 0: until the result is precise
	Budget      time.Duration   `json:"budget_ns,omitempty"` // about how long a race was to measure; 0: it had no limit, or it is not known
	Missing     []Missing       `json:"missing,omitempty"`   // what was looked for and is not there
	LeftOut     []LeftOut       `json:"left_out,omitempty"`  // what is there and was not measured
	Interrupted bool            `json:"interrupted,omitempty"`
	Error       *fault.Error    `json:"error,omitempty"` // why the run as a whole stopped short

	// Telemetry is what the sensors of the machine said meanwhile; nil: none were read.
	Telemetry *Telemetry `json:"telemetry,omitempty"`

	// Results of products, in the lanes' order; those of a sweep size after size.
	Results []*bench.Result `json:"results,omitempty"`
	// Crossover: a sweep was asked from which size on the GPU wins.
	Crossover bool `json:"crossover,omitempty"`

	Tokens     *Tokens     `json:"tokens,omitempty"`     // llm
	Generation *Generation `json:"generation,omitempty"` // generate
	Training   *Training   `json:"training,omitempty"`   // finetune
	CPU        *CPU        `json:"cpu,omitempty"`        // cpu
	GPUs       []GPU       `json:"gpus,omitempty"`       // gpu
	Ladder     *Ladder     `json:"ladder,omitempty"`     // learn
	Checks     []Check     `json:"checks,omitempty"`     // doctor
	Foreign    *Foreign    `json:"foreign,omitempty"`    // imported
	Scaling    *Scaling    `json:"scaling,omitempty"`    // scale
	Noise      *Noise      `json:"noise,omitempty"`      // learn, and doctor where it was asked to look deep
}

// EventType says that a run is told of as a record.
func (*Run) EventType() event.Type { return event.TypeRecord }

// Opened is a run with all that is known of it before anything is measured or, where it
// is measured in steps that are not lanes, after the latest step. With the events that
// follow, a run can be put together whose process was killed.
type Opened struct{ *Run }

// EventType returns the type of the event.
func (Opened) EventType() event.Type { return event.TypeOpened }

// NewID returns the id of a run: a UUID of version 7 (RFC 9562), which sorts by the
// time at which it was made.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Program is the gpuplay that measured.
type Program struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"` // of the binary's source; "+dirty" when that was changed
	Go      string `json:"go"`
}

// Missing is an engine or a device that is not there, why, and how to get it.
type Missing struct {
	Engine   string         `json:"engine"`
	API      string         `json:"api,omitempty"`  // the device that the engine looked for; empty: the engine itself is missing
	Kind     hardware.Kind  `json:"kind,omitempty"` // of that device
	Code     fault.Code     `json:"code"`
	Reason   string         `json:"reason"`
	Remedies fault.Remedies `json:"remedies,omitempty"`
}

// A LeftOut is a device that an engine found and that a race or a sweep did not measure.
type LeftOut struct {
	Engine string          `json:"engine"`
	Device hardware.Device `json:"device"`
	Why    Why             `json:"why"`
	Start  time.Duration   `json:"start_ns,omitempty"` // from starting the engine to knowing its devices
	// Instead is the number of the card that was measured in the place of an equal one;
	// nil when that is not known, and where time was short.
	Instead *int `json:"instead,omitempty"`
}

// A Why is a reason to leave a device out.
type Why string

const (
	EqualCard Why = "equal" // another GPU of the same model stands for it
	NoTime    Why = "time"  // measuring it as well would have taken longer than was asked for
)

// UnmarshalJSON also reads what versions before 0.2 wrote: a fix in words in place of
// remedies.
func (m *Missing) UnmarshalJSON(text []byte) error {
	type plain Missing
	in := struct {
		*plain
		Fix string `json:"fix"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	if in.Fix != "" && len(m.Remedies) == 0 {
		m.Remedies = fault.Advice(in.Fix)
	}
	return nil
}

// Tokens is what a language model did on several lanes.
type Tokens struct {
	Model   model.Model   `json:"model"`
	Prompt  string        `json:"prompt"`
	Layers  bool          `json:"layers,omitempty"` // the lanes differ in how many layers are on the GPU: their curve is what was asked for
	Results []*llm.Result `json:"results"`
	Limits  *llm.Limits   `json:"limits,omitempty"` // what the CPU of this machine can do at most; nil when not known
	Peers   []Peer        `json:"peers,omitempty"`  // what the runtime's own benchmark measured on the same lanes
}

// A Peer is a lane as a runtime's own benchmark measured it.
type Peer struct {
	Lane    string           `json:"lane"` // the id of the lane that it stands beside
	Name    string           `json:"name"` // llama-bench
	Results []llm.PeerResult `json:"results"`
}

// Generation is a text that a language model has continued.
type Generation struct {
	Model   string         `json:"model"`             // its folder
	Adapter string         `json:"adapter,omitempty"` // the folder of the adapter that was loaded with it; empty: none
	Prompt  string         `json:"prompt"`
	Chat    bool           `json:"chat"` // the prompt went into the model's chat template: the answer does not continue its text
	Facts   llm.Facts      `json:"facts"`
	About   llm.About      `json:"about"`
	Answer  llm.Generation `json:"answer"`
	// Eager is the same again with every kernel launched from Python, where the answer's
	// were launched as one CUDA graph for each token; nil where they were not.
	Eager *llm.Generation `json:"eager,omitempty"`
	// Sensors are the readings of the device while the answer was generated; nil: none were
	// taken.
	Sensors *measure.Sensed `json:"sensors,omitempty"`
}

// Training is what a model was taught.
type Training struct {
	Model    string         `json:"model"` // its folder
	Name     string         `json:"name"`  // for people
	Facts    llm.Facts      `json:"facts"`
	About    llm.About      `json:"about"`
	Data     train.Data     `json:"data"`
	Settings train.Settings `json:"settings"`
	Iters    int            `json:"iters"` // that were asked for
	Result   train.Result   `json:"result"`
	// Sensors are the readings of the device from the first iteration to the last; nil: none
	// were taken.
	Sensors *measure.Sensed `json:"sensors,omitempty"`
}

// CPU is what a CPU can do, measured: the roofs that every result on it is under. All
// series hold one value per sample.
type CPU struct {
	Topology     topology.Topology `json:"topology"`
	Kernels      string            `json:"kernels"` // the instruction set that gpuplay computes with here
	Instructions []Instruction     `json:"instructions"`
	Clocks       []Clock           `json:"clocks"`
	Peaks        []Peak            `json:"peaks"`
	Bandwidths   []Bandwidth       `json:"bandwidths"`
	Others       *float64          `json:"others,omitempty"` // CPUs that others kept busy meanwhile, on average
	Elapsed      time.Duration     `json:"elapsed_ns"`       // of the measurements alone
}

// An Instruction is a set of instructions for matrix products.
type Instruction struct {
	Name    string `json:"name"`
	Found   bool   `json:"found"`
	Kernels bool   `json:"kernels"` // gpuplay has kernels that use it
}

// A Clock is the clock that the CPUs of a number of threads held together.
type Clock struct {
	Threads int       `json:"threads"`
	Hertz   []float64 `json:"hertz"` // of each CPU
}

// A Peak is what a number of threads reach together with nothing but multiply-adds.
type Peak struct {
	DType   matrix.DType `json:"dtype"`
	Threads int          `json:"threads"`
	Ops     []float64    `json:"ops"` // FLOP/s, of integers OP/s
}

// A Bandwidth is what a number of threads reach together in a cache or in memory.
type Bandwidth struct {
	Place   string    `json:"place"` // L1, L2, L3, memory
	Bytes   int       `json:"bytes"` // of each thread's arrays
	Threads int       `json:"threads"`
	Read    []float64 `json:"read"`  // bytes per second: a sum, 8 bytes per element
	Triad   []float64 `json:"triad"` // bytes per second: STREAM's, 24 bytes per element
}

// A Ladder is one product computed in better and better ways.
type Ladder struct {
	Size int `json:"size"` // n of an n×n×n product of float32, or of what the rungs say
	// Of a ladder on a GPU:
	GPU      string `json:"gpu,omitempty"`      // its name; empty: a ladder on the CPU
	API      string `json:"api,omitempty"`      // cuda or vulkan; empty in older files: cuda
	Software bool   `json:"software,omitempty"` // a CPU does the work behind the GPU's interface
	SMs      int    `json:"sms,omitempty"`      // its multiprocessors; 0: not known
	Rungs    []Rung `json:"rungs"`
}

// A Rung is one idea more than the rung before.
type Rung struct {
	Name    string    `json:"name"`
	Idea    string    `json:"idea"`
	Threads int       `json:"threads"`
	Seconds []float64 `json:"seconds"`        // of one product, one value per sample
	Peak    *float64  `json:"peak,omitempty"` // FLOP/s of as many threads with nothing but multiply-adds; nil: not known
	// Of a ladder on a GPU:
	DType    matrix.DType `json:"dtype,omitempty"`     // of the operands; empty: float32
	Library  []float64    `json:"library,omitempty"`   // seconds of the same product by cuBLASLt, in turns with Seconds
	Global   float64      `json:"global,omitempty"`    // bytes that multiprocessors ask memory and caches for, for each multiplication, by counting
	Shared   float64      `json:"shared,omitempty"`    // bytes read from shared memory for each multiplication, by counting
	PerClock float64      `json:"per_clock,omitempty"` // multiplications that a multiprocessor can make in a clock with the instructions used; 0: not known
}

// Foreign is what another tool has measured. Nothing is known of how, so that it is
// compared with figures of the same tool alone.
type Foreign struct {
	Tool    string   `json:"tool"`              // llama-bench, nvbench, mlx-lm
	Version string   `json:"version,omitempty"` // as the tool says it
	Series  []Series `json:"series"`
}

// A Series is one figure that a tool reports, with its samples.
type Series struct {
	Name   string    `json:"name"`             // unique within the run
	Device string    `json:"device,omitempty"` // as the tool names it
	Unit   string    `json:"unit"`             // "tokens/s", where more is better, or "s"
	Values []float64 `json:"values"`           // one per sample, or the tool's mean alone: see Of
	Of     int       `json:"of,omitempty"`     // how many samples the mean in Values is of; 0: Values are the samples
}

// Noise is one lane that was measured again and again, each time prepared and warmed up
// anew, so that it can be compared with itself.
type Noise struct {
	Runs    int             `json:"runs"`    // that were asked for; there are fewer results if there was no time for more
	Results []*bench.Result `json:"results"` // in the order in which they were measured
}

// A Status is the outcome of a doctor's check.
type Status string

const (
	OK      Status = "ok"
	Warning Status = "warning" // results are limited or changed by it
	Failed  Status = "failed"  // something that is installed or was asked for cannot work or measures wrongly
	Absent  Status = "absent"  // not there, and nothing is wrong with that
	Unknown Status = "unknown" // could not be found out
)

// A Check is one line of the doctor's diagnosis.
type Check struct {
	Group    string         `json:"group"`
	Name     string         `json:"name"`
	Status   Status         `json:"status"`
	Seen     string         `json:"seen"`               // the fact
	Why      string         `json:"why,omitempty"`      // it matters
	Remedies fault.Remedies `json:"remedies,omitempty"` // how to fix it
}

// Join adds the lanes or sizes of another part of the same run, as a file has them that
// holds each in a line of its own.
func (r *Run) Join(part *Run) error {
	if part.ID != r.ID || part.Kind != r.Kind || (r.Tokens == nil) != (part.Tokens == nil) {
		return fmt.Errorf("two runs of the kinds %s and %s have the id %s", r.Kind, part.Kind, r.ID)
	}
	r.Results = append(r.Results, part.Results...)
	if r.Tokens != nil {
		r.Tokens.Results = append(r.Tokens.Results, part.Tokens.Results...)
		r.Tokens.Peers = append(r.Tokens.Peers, part.Tokens.Peers...)
	}
	return nil
}

// Points returns the results of products by size, in the order in which sizes were
// measured: one for a race, one per size for a sweep.
func (r *Run) Points() [][]*bench.Result {
	var points [][]*bench.Result
	at := map[[3]int]int{}
	for _, x := range r.Results {
		size := [3]int{x.GEMM.M, x.GEMM.N, x.GEMM.K}
		i, known := at[size]
		if r.Kind != Sweep { // a slow lane of a race has a smaller product beside the others
			i, known = 0, len(points) > 0
		}
		if !known {
			i = len(points)
			at[size] = i
			points = append(points, nil)
		}
		points[i] = append(points[i], x)
	}
	return points
}

// Measured reports whether a run has any figure: a sample, an iteration, a rung.
func (r *Run) Measured() bool {
	sampled := func(x *bench.Result) bool { return len(x.Samples) > 0 }
	if slices.ContainsFunc(r.Results, sampled) {
		return true
	}
	switch {
	case r.Tokens != nil:
		return slices.ContainsFunc(r.Tokens.Results, func(x *llm.Result) bool { return len(x.Samples) > 0 })
	case r.Generation != nil:
		return r.Generation.Answer.Tokens > 0
	case r.Training != nil:
		return len(r.Training.Result.Steps) > 0
	case r.CPU != nil:
		return len(r.CPU.Clocks)+len(r.CPU.Peaks)+len(r.CPU.Bandwidths) > 0
	case len(r.GPUs) > 0:
		return slices.ContainsFunc(r.GPUs, func(g GPU) bool { return len(g.Copies)+len(g.Launch)+len(g.Launches) > 0 })
	case r.Ladder != nil:
		return len(r.Ladder.Rungs) > 0
	case r.Scaling != nil:
		return slices.ContainsFunc(r.Scaling.Worlds, func(w World) bool { return len(w.Collectives)+len(w.Shares)+len(w.Steps) > 0 })
	case r.Noise != nil:
		return slices.ContainsFunc(r.Noise.Results, sampled)
	case r.Foreign != nil:
		return len(r.Foreign.Series) > 0
	}
	return false
}
