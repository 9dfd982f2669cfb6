// Package event is the one stream of what happens during a run: sizes, phases,
// samples, checks, tokens, training steps, results. Progress on a terminal, the page
// and --format events are its subscribers; nobody else tells anything to anybody.
//
// The payloads are types of the domains (a bench.Sample, a train.Step); this package
// knows the envelope, the list of types, and the payloads that all domains share.
// docs/event.schema.json describes the JSON form.
package event

import "time"

// A Type names what an event tells.
type Type string

const (
	TypeBegin     Type = "begin"     // Begin: the run begins
	TypeOpened    Type = "opened"    // record.Opened: all that is known of the run before it is measured, or after one of its steps
	TypeLane      Type = "lane"      // Lane: a lane is announced
	TypePrepared  Type = "prepared"  // bench.Prepared: all that is known of a lane before its samples
	TypePhase     Type = "phase"     // Phase: what a lane does from now on
	TypeProgress  Type = "progress"  // Progress: how far a lane is
	TypeNote      Type = "note"      // Note: a line for people
	TypeSize      Type = "size"      // Size: the product that was chosen
	TypeTuning    Type = "tuning"    // bench.Tuning: an engine tries out variants while it prepares
	TypeSample    Type = "sample"    // bench.Sample: products that were timed
	TypeCheck     Type = "check"     // bench.Checked or llm.Check: a result was checked
	TypeLoaded    Type = "loaded"    // llm.Loaded: a model is in memory
	TypePrompt    Type = "prompt"    // llm.Asked: what a model is to continue, or to answer
	TypeToken     Type = "token"     // llm.Piece: a piece of an answer
	TypeRound     Type = "round"     // llm.Sample: an answer and a prompt that were timed
	TypePlan      Type = "plan"      // train.Planned: what a training is about to do
	TypeStep      Type = "step"      // train.Step: an iteration, a validation or a save
	TypeSensors   Type = "sensors"   // Sensors: which sensors a source has
	TypeTelemetry Type = "telemetry" // Telemetry: what sensors say
	TypeProcesses Type = "processes" // ProcessList: which processes use the GPUs of a source
	TypeResult    Type = "result"    // bench.Result or llm.Result: all that a lane came to
	TypeRecord    Type = "record"    // record.Run: the whole run, the last event of every stream
	TypeDropped   Type = "dropped"   // Dropped: events that a slow reader did not get
)

// Data is the payload of an event. It must not change once it was emitted.
type Data interface{ EventType() Type }

// An Event is something that happened in a run.
type Event struct {
	Run  string        `json:"run"`            // the run's id
	Seq  uint64        `json:"seq"`            // counts from 1; a dropped event stands where numbers are missing
	At   time.Duration `json:"at_ns"`          // on the runner's clock, since the run began
	Lane string        `json:"lane,omitempty"` // the lane's id; empty: the run as a whole
	Type Type          `json:"type"`
	Data Data          `json:"data"`
}

// A Sink takes what happens and keeps the runner's clock.
type Sink interface {
	// Emit tells what happens in a lane, "" for the run as a whole. It returns at
	// once, whatever its readers do. It is never called inside a timed loop.
	Emit(lane string, d Data)
	// Now returns the time on the runner's clock since the run began.
	Now() time.Duration
}

// Schema names the version of the JSON form of a stream.
const Schema = "gpuplay/events/v1"

// Begin is the first event of a stream.
type Begin struct {
	Schema  string    `json:"schema"` // of the stream: Schema
	Kind    string    `json:"kind"`   // race, sweep, llm, …: record.Kind; monitor: sensors are read and nothing is measured
	Command []string  `json:"command"`
	Created time.Time `json:"created,omitzero"` // when the run began; zero: not known
}

// Lane announces a lane.
type Lane struct {
	Name   string `json:"name"`           // for people: "PyTorch 2.15 cuda, eager"
	Engine string `json:"engine"`         // gocpu, torch, llama.cpp
	Device string `json:"device"`         // the hardware, as its maker writes it
	Card   *int   `json:"card,omitempty"` // the number of its GPU on this machine; absent when not known, and for CPUs
	Op     string `json:"op,omitempty"`   // what its speed counts: "FLOP", "OP" of integers; empty: tokens
}

// Phase is what a lane does from now on: "preparing", "checking", "warming up",
// "measuring", "loading", "answering", "finished", "left out".
type Phase struct {
	Phase string `json:"phase"`
}

// Progress is how far a lane is. It may be dropped for a slow subscriber: the next one,
// or the result, says more.
type Progress struct {
	Done  int     `json:"done"`
	Total int     `json:"total"`           // an estimate
	Speed float64 `json:"speed,omitempty"` // the median so far, in FLOP/s, OP/s or tokens/s; 0: none yet
}

// Note is a line for people about what goes on. Transient notes are replaced by the
// next one where that is possible.
type Note struct {
	Text      string `json:"text"`
	Transient bool   `json:"transient,omitempty"`
}

// Size is the product that a lane computes, chosen or asked for.
type Size struct {
	M int `json:"m"`
	N int `json:"n"`
	K int `json:"k"`
}

// Dropped tells one slow subscriber of the events that it did not get: their number, the
// last of which had the number that this one has. Its time is that of the event that
// follows. It is never emitted.
type Dropped struct {
	Count int `json:"count"`
}

func (Begin) EventType() Type    { return TypeBegin }
func (Lane) EventType() Type     { return TypeLane }
func (Phase) EventType() Type    { return TypePhase }
func (Progress) EventType() Type { return TypeProgress }
func (Note) EventType() Type     { return TypeNote }
func (Size) EventType() Type     { return TypeSize }
func (Dropped) EventType() Type  { return TypeDropped }
