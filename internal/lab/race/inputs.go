package race

import (
	"context"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// InputsOptions are those of a comparison of inputs.
type InputsOptions struct {
	lab.Settings              // Data is ignored: all kinds are measured
	Engines      []string     // their names; none: all
	Size         int          // n of an n×n×n product; 0: so large that the device is busy
	DType        matrix.DType // of the product, as bench.Square means it
}

const (
	// tryTime is about how long each engine is tried to find the fastest.
	tryTime = 300 * time.Millisecond
	// turns is about how many samples each kind of inputs has. They are as long as that
	// allows: power and clocks follow the inputs within some tenths of a second, and each
	// turn has other inputs than the one before.
	turns = 15
)

// Inputs measures the same product on inputs of every kind, in turns, in the fastest lane of
// this machine.
func Inputs(ctx context.Context, d lab.Deps, o InputsOptions, s *event.Stream) (*record.Run, error) {
	list, err := catalog.Select(o.Engines)
	if err != nil {
		return nil, err
	}
	if err := (Options{Settings: o.Settings, Size: o.Size}).check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.Inputs)
	found := d.Start(ctx, s, list, o.Settings.Options)
	defer catalog.Close(found)
	r.Cards, r.Missing = catalog.Cards(r.Cards, found), catalog.Missing(found)
	lanes, _ := lab.Racing(found, false)
	return inputs(ctx, d, o, s, r, lanes)
}

// inputs is Inputs with the lanes as an argument.
func inputs(ctx context.Context, d lab.Deps, o InputsOptions, s *event.Stream, r *record.Run, lanes []bench.Lane) (*record.Run, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lane, ok := fastest(ctx, d, o, s, lanes)
	if !ok {
		return nil, lab.Nothing(r.Missing)
	}
	lanes = nil
	for _, data := range matrix.Kinds {
		l := lane
		if l.GEMM.Data = data; data != matrix.Random {
			l.ID += "#" + data.String()
		}
		lanes = append(lanes, l)
	}
	lab.Reserve(ctx, lanes)
	lab.Announce(s, lanes)
	g := lane.GEMM
	lab.Note(s, "measuring "+unit.Cube(g.M, g.N, g.K)+" on inputs of every kind")
	r.Threads, r.Repeat = o.Threads, o.Repeat
	lab.Opened(s, r)
	lab.Bound(lanes)
	runner := d.Runner(s, o.Timeout)
	runner.Peak, runner.Sensors = d.Peak(o.Settings.Options), d.Sensors()
	stop := o.Stop()
	stop.Sample = o.Budget / time.Duration(turns*len(lanes))
	r.Results = runner.Race(ctx, lanes, o.Seed, stop)
	return d.Finish(ctx, s, r), nil
}

// fastest returns the fastest lane of all with the product that it is to compute: that which
// was asked for, or as large as a race without other lanes would choose and memory holds once
// for each kind of inputs. ok is false if no lane computes right.
func fastest(ctx context.Context, d lab.Deps, o InputsOptions, s *event.Stream, lanes []bench.Lane) (lane bench.Lane, ok bool) {
	of := func(n int) bench.GEMM { return bench.Square(n, o.DType) }
	for i := range lanes {
		lanes[i].GEMM = of(preliminarySize)
	}
	quiet := d.Runner(s.Quiet(), o.Timeout)
	best := 0.0
	for i, x := range quiet.Race(ctx, lanes, o.Seed, bench.Stop{Budget: tryTime * time.Duration(len(lanes))}) {
		if speed, _ := x.Speed(); x.Verified() && x.Device.Kind != hardware.SoftwareGPU && speed.Value > best {
			best, lane, ok = speed.Value, lanes[i], true
		}
	}
	if !ok {
		return lane, false
	}
	if o.Size > 0 {
		lane.GEMM = of(o.Size)
		return lane, true
	}
	one := []bench.Lane{lane}
	quiet.Plan(ctx, one, of, o.Seed, o.Stop())
	lane.GEMM = one[0].GEMM
	memory := float64(0)
	switch {
	case lane.Device.Memory != nil:
		memory = float64(*lane.Device.Memory)
	case d.Free != nil:
		memory = float64(d.Free())
	}
	for n := lane.GEMM.N / 2; memory > 0 && n >= preliminarySize/4 && lane.GEMM.Footprint()*float64(len(matrix.Kinds)) > memory/2; n /= 2 {
		lane.GEMM = of(n)
	}
	return lane, true
}
