// Package lab is what all labs share. A lab measures one kind of thing from the first
// worker to the finished record: it is told what to do in a plain struct of options,
// tells what happens as events, and returns a record.Run. It knows no flag, no colour
// and no HTTP; command lines and pages call it.
//
//	Run(ctx, deps, options, stream) (*record.Run, error)
//
// When ctx ends, a lab returns what was measured until then, marked as interrupted,
// and no error. An error means that there is no record worth showing.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/telemetry"
	"github.com/gpuplay/gpuplay/internal/topology"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Deps is what labs stand on.
type Deps struct {
	Catalog *catalog.Catalog
	Program record.Program
	Command []string     // the command line, program first; nil where there is none
	Free    func() int64 // bytes of available memory: host.Free; nil or 0: not known
	Models  Models
	// Sources returns the sensors that are read while something is measured, on a machine
	// with these GPUs: telemetry.Sources; nil: none.
	Sources func(cards []hardware.Card) []telemetry.Source

	sampler *telemetry.Sampler // of the run that Begin began; nil: nothing is read
}

// Begin returns the record of a run that begins now, with all but what is measured,
// and tells that it begins. Its cards are those that the drivers list: engines may add
// others. From now on, until Finish or the end of ctx, the sensors of the machine are
// read.
func (d *Deps) Begin(ctx context.Context, s *event.Stream, kind record.Kind) *record.Run {
	s.Emit("", event.Begin{Schema: event.Schema, Kind: string(kind), Command: d.Command})
	r := &record.Run{
		Schema: record.Schema, ID: s.Run(), Kind: kind, Created: time.Now().UTC().Truncate(time.Second),
		Program: d.Program, Command: d.Command, Machine: host.Describe(context.WithoutCancel(ctx)), Cards: host.Cards(),
	}
	if d.Sources != nil && kind != record.Doctor {
		d.sampler = telemetry.Start(s, r.Cards, d.Sources(r.Cards)...)
		context.AfterFunc(ctx, func() { d.sampler.Stop(nil) })
	}
	return r
}

// Opened tells what is known of a run: before anything is measured and, where a run is
// measured in steps that are not lanes, after each step. What r points to must not change
// afterwards.
func Opened(s event.Sink, r *record.Run) {
	now := *r // the record goes on changing
	s.Emit("", record.Opened{Run: &now})
}

// Finish completes a record and tells it as the last event of the stream. The record
// does not change any more.
func (d *Deps) Finish(ctx context.Context, s *event.Stream, r *record.Run) *record.Run {
	r.Telemetry = d.sampler.Stop(r.Cards)
	r.Elapsed, r.Interrupted = s.Now(), ctx.Err() != nil
	s.Emit("", r)
	return r
}

// Sensors returns those that are read since Begin.
func (d Deps) Sensors() measure.Sensors { return d.sampler }

// NoGPU is the error of a machine on which no engine reaches a GPU.
func NoGPU(missing []record.Missing) *fault.Error {
	var reasons []string
	var remedies fault.Remedies
	for _, m := range missing {
		reasons = append(reasons, m.Engine+": "+m.Reason)
		for _, r := range m.Remedies {
			if !slices.ContainsFunc(remedies, func(have fault.Remedy) bool { return reflect.DeepEqual(have, r) }) {
				remedies = append(remedies, r)
			}
		}
	}
	return fault.Errorf(fault.Unavailable, "no GPU is reached (%s)", strings.Join(reasons, "; ")).With(remedies...)
}

// Settings are what every lab that measures products is told.
type Settings struct {
	catalog.Options               // how engines are started; Timeout also limits each of their steps
	Repeat          int           // the exact number of timed runs; 0: until the result is precise
	Budget          time.Duration // about how long to measure
	Sustain         time.Duration // how long the fastest lane of each kind computes without a break in the end; 0: it does not
	Seed            uint64        // of the random inputs
	Data            matrix.Data   // what the inputs are
}

// Check refuses settings that make no sense.
func (o Settings) Check() error {
	switch {
	case o.Repeat < 0:
		return fault.Errorf(fault.Invalid, "%d timed runs: at least 1 is needed", o.Repeat).With(fault.Change("repeat", "leave {} out to let the noise decide"))
	case o.Budget <= 0:
		return fault.Errorf(fault.Invalid, "%s to measure: more than 0 is needed", o.Budget).With(fault.Set("time", "10s", ""))
	case o.Sustain < 0 || o.Sustain > 0 && o.Sustain < bench.LeastSustain:
		return fault.Errorf(fault.Invalid, "%s do not show what is sustained: at least %s are needed", o.Sustain, bench.LeastSustain).With(fault.Set("sustain", "60s", "for example"))
	case !o.Data.Known():
		return fault.Errorf(fault.Invalid, "unknown data %q", o.Data).With(fault.Change("data", "leave {} out for random inputs"))
	case o.Threads < 0:
		return fault.Errorf(fault.Invalid, "%d threads: at least 1 is needed", o.Threads).With(fault.Change("threads", "leave {} out to use what the engine chooses"))
	}
	return nil
}

// Square returns the n×n×n product of a type, as bench.Square means it, of the inputs that
// were asked for.
func (o Settings) Square(n int, d matrix.DType) bench.GEMM {
	g := bench.Square(n, d)
	g.Data = o.Data
	return g
}

// Stop says when a lane has enough samples.
func (o Settings) Stop() bench.Stop {
	return bench.Stop{Repeat: o.Repeat, Budget: o.Budget, Sustain: o.Sustain}
}

// Runner returns a runner that tells to a sink and limits each step of an engine.
func (d Deps) Runner(sink event.Sink, limit time.Duration) *bench.Runner {
	return &bench.Runner{Sink: sink, Free: d.Free, Throttled: host.Throttled, StepLimit: limit}
}

// Peak returns what measures the peak of this machine's CPU: gpuplay's own kernels, in
// a worker that is started for it.
func (d Deps) Peak(o catalog.Options) func(context.Context, bench.GEMM) (float64, bool) {
	return func(ctx context.Context, g bench.GEMM) (float64, bool) {
		list, err := catalog.Select([]string{"gocpu"})
		if err != nil || d.Catalog == nil {
			return 0, false
		}
		found := d.Catalog.Discover(ctx, list, catalog.Options{Threads: o.Threads, Timeout: o.Timeout}, func(catalog.Contender) {})
		defer catalog.Close(found)
		if found[0].Err != nil || len(found[0].Found.Devices) == 0 {
			return 0, false
		}
		g.M, g.N, g.K, g.Sum = 1, 1, 1, false
		task, err := found[0].Client.Prepare(ctx, found[0].Found.Devices[0], g, 1, func(bench.Tuning) {})
		if err != nil {
			return 0, false
		}
		defer task.Close()
		peak := task.Facts().Peak
		if peak == nil {
			return 0, false
		}
		return *peak, true
	}
}

// Bound says of lanes, whose products are known, what they cannot be faster than: a GPU
// than what its maker publishes, a CPU than the peak that gpuplay measures on it. It also
// says of CPU lanes how many cores there are.
func Bound(lanes []bench.Lane) {
	for i := range lanes {
		l := &lanes[i]
		switch l.Device.Kind {
		case hardware.GPU:
			if flops, _, ok := hardware.PublishedPeak(l.Device.Name, string(l.GEMM.In), string(l.GEMM.Acc)); ok {
				l.Published = &flops
			} else {
				l.Notes = append(l.Notes, "no published peak of this GPU is known here: nothing bounds the figure")
			}
		case hardware.CPU:
			l.Bounded, l.Cores = bounded(l.GEMM.In), cores()
		}
	}
}

// cores returns how many threads it takes to use this CPU's fastest cores. Where it is not
// known which CPUs share a core, two of them may.
func cores() int {
	all, fast, cpus := host.Cores()
	return cmp.Or(fast, all, (cpus+1)/2)
}

// bounded reports whether gpuplay's own kernels use the fastest instructions that this
// CPU has for a type, on all of its cores: they leave the slower cores of a hybrid CPU
// alone.
func bounded(d matrix.DType) bool {
	return len(topology.Read().Kinds) <= 1 && gemm.Fastest(gemm.Arithmetic(d))
}

// Start starts engines side by side and notes what became of each.
func (d Deps) Start(ctx context.Context, s *event.Stream, list []catalog.Entry, o catalog.Options) []catalog.Contender {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	Note(s, "starting "+strings.Join(names, ", "))
	return d.Catalog.Discover(ctx, list, o, func(c catalog.Contender) {
		switch {
		case errors.Is(c.Err, fault.Interrupted): // who did that knows
			return
		case c.Err != nil:
			Note(s, c.Name+": "+c.Err.Error())
			return
		}
		Note(s, c.Name+": "+strings.Join(labels(c.Racing()), ", ")+", ready in "+unit.Seconds(c.Start))
	})
}

// labels names devices; several of one name are named once, with their number.
func labels(devices []hardware.Device) []string {
	var names []string
	count := map[string]int{}
	for _, d := range devices {
		if count[d.Label()]++; count[d.Label()] == 1 {
			names = append(names, d.Label())
		}
	}
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%s (%d devices)", name, n)
		}
	}
	return names
}

// Note tells a line for people.
func Note(s event.Sink, text string) { s.Emit("", event.Note{Text: text}) }

// Lanes returns a lane for each of a contender's devices.
func Lanes(c catalog.Contender, devices ...hardware.Device) []bench.Lane {
	var lanes []bench.Lane
	for _, d := range devices {
		lanes = append(lanes, bench.Lane{Engine: c.Client, Device: d, Start: c.Start, Notes: slices.Clip(c.Notes)})
	}
	return lanes
}

// Racing returns the lanes of contenders in a race, with their ids. Of equal GPUs the one
// with the lowest number has a lane and stands for the others, which are left out, unless
// allGPUs asks for them too.
func Racing(list []catalog.Contender, allGPUs bool) ([]bench.Lane, []record.LeftOut) {
	var lanes []bench.Lane
	var out []record.LeftOut
	memory := cardMemory(list)
	for _, c := range list {
		devices := c.Racing()
		if !allGPUs {
			var equal []record.LeftOut
			devices, equal = distinct(devices, memory)
			for _, x := range equal {
				x.Engine, x.Start = c.Name, c.Start
				out = append(out, x)
			}
		}
		lanes = append(lanes, Lanes(c, devices...)...)
	}
	LaneIDs(lanes)
	return lanes, out
}

// cardMemory returns the memory of the cards whose memory any contender knows.
func cardMemory(list []catalog.Contender) map[int]*int64 {
	memory := map[int]*int64{}
	for _, c := range list {
		for _, d := range c.Found.Devices {
			if d.Card != nil && d.Memory != nil && memory[*d.Card] == nil {
				memory[*d.Card] = d.Memory
			}
		}
	}
	return memory
}

// distinct returns the devices without those that another one stands for.
func distinct(devices []hardware.Device, memory map[int]*int64) (kept []hardware.Device, out []record.LeftOut) {
	known := func(d hardware.Device) hardware.Device {
		if d.Card != nil && memory[*d.Card] != nil {
			d.Memory = memory[*d.Card]
		}
		return d
	}
	number := func(d hardware.Device) int {
		if d.Card == nil {
			return math.MaxInt
		}
		return *d.Card
	}
	for i, d := range devices {
		first := i // of those that are equal: the one with the lowest number
		for j, o := range devices {
			if j != i && hardware.Equal(known(d), known(o)) && (number(o) < number(devices[first]) || number(o) == number(devices[first]) && j < first) {
				first = j
			}
		}
		if first == i {
			kept = append(kept, d)
			continue
		}
		out = append(out, record.LeftOut{Device: d, Why: record.EqualCard, Instead: devices[first].Card})
	}
	return kept, out
}

// ID returns a lane's id, by which events and results name it: the engine and its id
// of the device, "torch/cuda:GPU-5d4bf5a4-…", with a number behind it where another
// lane has taken that: "…~2". It marks the id as taken.
func ID(engine, device string, taken map[string]bool) string {
	id := engine + "/" + device
	for n := 2; taken[id]; n++ {
		id = engine + "/" + device + "~" + strconv.Itoa(n)
	}
	taken[id] = true
	return id
}

// LaneIDs gives each lane its id.
func LaneIDs(lanes []bench.Lane) {
	taken := map[string]bool{}
	for i, l := range lanes {
		lanes[i].ID = ID(l.Engine.Name(), l.Device.ID, taken)
	}
}

// Announce tells of lanes before anything is measured in them.
func Announce(s event.Sink, lanes []bench.Lane) {
	for _, l := range lanes {
		s.Emit(l.ID, event.Lane{Name: l.Label(), Engine: l.Engine.Name(), Device: l.Device.Name, Card: l.Device.Card, Op: l.GEMM.Op()})
	}
}

// Reserve starts the workers that lanes need beyond one for each engine, side by side.
// What fails here fails again, and is reported, when its lane is prepared.
func Reserve(ctx context.Context, lanes []bench.Lane) {
	type reserver interface {
		Reserve(ctx context.Context, n int) error
	}
	need := map[reserver]int{}
	for _, l := range lanes {
		if r, ok := l.Engine.(reserver); ok {
			need[r]++
		}
	}
	var wg sync.WaitGroup
	for r, n := range need {
		wg.Go(func() { r.Reserve(ctx, n) })
	}
	wg.Wait()
}

// Choose returns the lane of the device that a word asks for.
func Choose(c catalog.Contender, want string) (bench.Lane, error) {
	if e := fault.From(c.Err); e != nil {
		return bench.Lane{}, fault.Errorf(e.Code, "%s: %s", c.Name, e.Message).With(e.Remedies...)
	}
	d, err := hardware.Pick(c.Found, c.Name, want)
	if err != nil {
		return bench.Lane{}, err
	}
	return Lanes(c, d)[0], nil
}

// Nothing returns the error of a lab that has no lane, because of what is missing.
func Nothing(missing []record.Missing) error {
	var reasons []string
	var remedies fault.Remedies
	for _, m := range missing {
		reasons = append(reasons, m.Engine+": "+m.Reason)
		remedies = m.Remedies
	}
	return fault.Errorf(fault.Unavailable, "nothing to measure with: %s", strings.Join(reasons, "; ")).With(slices.Clone(remedies)...)
}
