package worker

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/train"
)

// An Operation is something that a worker can be asked to do: its arguments are an A,
// its result is an R, and each event that comes before the result holds an E. None
// stands in the place of what an operation does not have.
type Operation[A, E, R any] struct{ operation }

// operation is what an operation is beside its types.
type operation struct {
	name  string
	event event.Type     // of its events; empty: it has none
	doing string         // what a worker is busy with: "was killed while computing"
	less  fault.Remedies // what takes less memory
}

// The operations. This is the list of the protocol: both ends in Go use these
// variables, and a test compares the list with OPERATIONS in internal/python.
var (
	// hello is the first request.
	hello = Operation[Hello, None, Welcome]{operation{name: "hello", doing: "starting"}}

	// Products of matrices. A worker holds one prepared product, or several if it says so.
	prepare = Operation[PrepareArgs, bench.Tuning, bench.Facts]{operation{"prepare", event.TypeTuning, "preparing", smallerSize}}
	run     = Operation[RunArgs, None, Timing]{operation{name: "run", doing: "computing", less: smallerSize}}
	trip    = Operation[TripArgs, None, bench.RoundTrip]{operation{name: "round_trip", doing: "copying", less: smallerSize}}
	mulvec  = Operation[TaskArgs, None, None]{operation{name: "mulvec", doing: "being checked", less: smallerSize}} // the frame of x is answered with the frame of C·x

	// describe says more of a GPU, and times copies on it.
	describe = Operation[DescribeArgs, None, Described]{operation{name: "describe", doing: "copying"}}

	// Language models. A worker holds at most one. Rows come before it is loaded.
	Rows     = Operation[RowsArgs, None, Checked]{operation{name: "rows", doing: "checking the rows"}}
	Load     = Operation[LoadArgs, None, llm.About]{operation{name: "load", doing: "loading the model", less: smallerModel}}
	Generate = Operation[GenerateArgs, llm.Token, Generated]{operation{"generate", event.TypeToken, "generating", smallerModel}}
	Tune     = Operation[train.Settings, None, train.Plan]{operation{name: "tune", doing: "preparing", less: smallerTraining}}
	Train    = Operation[TrainArgs, train.Step, train.Trained]{operation{"train", event.TypeStep, "training", smallerTraining}}

	// Small networks. A worker holds at most one.
	Network = Operation[NetworkArgs, None, Networked]{operation{name: "network", doing: "preparing"}}
	GPT     = Operation[GPTArgs, None, Networked]{operation{name: "gpt", doing: "preparing"}}
	Steps   = Operation[StepsArgs, None, Stepped]{operation{name: "steps", doing: "training"}}
	Losses  = Operation[LossesArgs, None, Mapped]{operation{name: "losses", doing: "computing"}}

	// release frees the product or the model.
	release = Operation[TaskArgs, None, None]{operation{name: "close", doing: "closing"}}
	// stop asks a worker to end the request that it is answering with what it has. It
	// has no answer of its own.
	stop = Operation[StopArgs, None, None]{operation{name: "stop"}}
)

var operations = []interface {
	signature() (name string, arguments []string)
}{hello, prepare, run, trip, mulvec, describe, Rows, Load, Generate, Tune, Train, Network, GPT, Steps, Losses, release, stop}

var (
	smallerSize     = fault.Remedies{fault.Change("size", "a smaller {}")}
	smallerModel    = fault.Advice("a smaller model")
	smallerTraining = fault.Remedies{fault.Change("batch", "a smaller {}"), fault.Change("layers", "fewer {}"), fault.Change("max-length", "a smaller {}")}
)

// None has no fields.
type None struct{}

// A Hello is what a worker must know before it starts.
type Hello struct {
	Protocol int             `json:"protocol"`
	Threads  int             `json:"threads"` // CPU threads to compute with; 0: the engine's own choice
	CPU      string          `json:"cpu"`     // this machine's CPU, as its maker writes it
	Options  json.RawMessage `json:"options"` // an object of what the engine alone understands; empty when there is nothing to say
}

// A Welcome is the answer to Hello.
type Welcome struct {
	Protocol int    `json:"protocol"`
	Engine   string `json:"engine"`
	// Capabilities are the operations that the worker does beside hello. One that is
	// not there is not asked for; without stop, a request ends early with its process.
	Capabilities []string `json:"capabilities"`
	// Many says that the worker holds several prepared products at a time. Each has a
	// number then, from 1 on; in other workers the one that there is has none.
	Many bool `json:"many,omitempty"`
	hardware.Inventory
}

// PrepareArgs say what product is prepared where.
type PrepareArgs struct {
	Task   int        `json:"task,omitempty"`
	Device string     `json:"device"` // its id
	GEMM   bench.GEMM `json:"gemm"`
	Seed   uint64     `json:"seed"`
	// Data is GEMM's, whose JSON form is without it here: a worker that does not know the
	// argument refuses it, where it could pass over a field of the product and compute with
	// random inputs.
	Data matrix.Data `json:"data,omitempty"`
}

// RunArgs say how many products are computed in succession, and from which set of
// operands.
type RunArgs struct {
	Task int `json:"task,omitempty"`
	N    int `json:"n"`
	Set  int `json:"set"`
}

// TripArgs say from which set of operands a product is computed whose matrices are in main
// memory.
type TripArgs struct {
	Task int `json:"task,omitempty"`
	Set  int `json:"set"`
}

// TaskArgs name a prepared product.
type TaskArgs struct {
	Task int `json:"task,omitempty"`
}

// DescribeArgs name a device.
type DescribeArgs struct {
	Device string `json:"device"` // its id
}

// Described is the answer to DescribeArgs.
type Described struct {
	hardware.Description
	Error *fault.Error `json:"error,omitempty"` // why the description is not complete
}

// A Timing is what a run took.
type Timing struct {
	Iters  int            `json:"iters"`
	Wall   time.Duration  `json:"wall_ns"`             // by the worker's clock, around the products alone
	Device *time.Duration `json:"device_ns,omitempty"` // by the device's own clock; nil when it has none
	Busy   bool           `json:"busy,omitempty"`      // the process was still using the CPU when its wait for that ended
}

// RowsArgs name rows to be learned, each of which the worker makes into tokens, and the
// prompt to be asked before and after.
type RowsArgs struct {
	Model  string `json:"model"`           // its folder
	Train  string `json:"train"`           // a .jsonl file
	Valid  string `json:"valid,omitempty"` // likewise; empty for none
	Prompt string `json:"prompt"`          // empty for none
	Limit  int    `json:"limit"`           // tokens that the prompt may take
}

// Checked is the answer to RowsArgs. A row that cannot be learned is an error instead,
// which names its file and its line.
type Checked struct {
	Prompt string `json:"prompt"` // as much of the beginning as may be asked
}

// LoadArgs say which model is loaded and how.
type LoadArgs struct {
	Device  string `json:"device"`  // its id
	Model   string `json:"model"`   // its folder
	Adapter string `json:"adapter"` // the folder of an adapter; empty for none
	Bits    int    `json:"bits"`    // the number of bits to quantize the weights to; 0: leave them as they are
	DType   string `json:"dtype"`   // the type to compute in on a GPU: "float32"; empty: the worker's choice
	Graph   bool   `json:"graph"`   // generate with one graph of kernels for each token where that is possible
}

// GenerateArgs are an llm.Request.
type GenerateArgs struct {
	Prompt     string `json:"prompt"`
	Chat       bool   `json:"chat"`
	Filler     int    `json:"filler"`
	Tokens     int    `json:"tokens"`
	IgnoreEnd  bool   `json:"ignore_end"`
	Candidates int    `json:"candidates"`
	Eager      bool   `json:"eager"`
}

// Generated is how a generation ended.
type Generated struct {
	PromptTokens int           `json:"prompt_tokens"`
	PromptTime   time.Duration `json:"prompt_ns"` // until the first token is chosen
	Tokens       int           `json:"tokens"`
	TokenTime    time.Duration `json:"token_ns"` // from having the first token to having the last
	Finish       string        `json:"finish"`   // "length", "stop", or empty when it was cut off
	Peak         int64         `json:"peak"`     // bytes; 0 when not known
	Graph        bool          `json:"graph"`    // each token was one graph of kernels
}

// TrainArgs say for how many iterations the adapter is trained.
type TrainArgs struct {
	Iters int `json:"iters"`
}

// StopArgs name a request by its id.
type StopArgs struct {
	Request int `json:"request"`
}

// Arguments returns the names of the arguments of every operation, in order. A
// question mark follows the name of one that may be left out.
func Arguments() map[string][]string {
	all := map[string][]string{}
	for _, o := range operations {
		name, arguments := o.signature()
		all[name] = arguments
	}
	return all
}

func (o Operation[A, E, R]) signature() (string, []string) {
	names := []string{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[A]()) {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if option == "omitempty" {
			name += "?"
		}
		names = append(names, name)
	}
	return o.name, names
}

// arguments decodes the arguments of a request. Every one must be there, and no other:
// a parent and a worker that do not mean the same must notice.
func (o Operation[A, E, R]) arguments(raw json.RawMessage) (a A, err error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return a, invalid("the arguments of %s are not understood: %v", o.name, err)
	}
	_, names := o.signature()
	for _, n := range names {
		n, optional := strings.CutSuffix(n, "?")
		if _, ok := given[n]; !ok && !optional {
			return a, invalid("%s without %s", o.name, n)
		}
		delete(given, n)
	}
	if rest := slices.Sorted(maps.Keys(given)); len(rest) > 0 {
		return a, invalid("%s has no argument %q", o.name, rest[0])
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, invalid("the arguments of %s are not understood: %v", o.name, err)
	}
	return a, nil
}
