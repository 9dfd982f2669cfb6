package race

import (
	"context"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Both is the protocol that stands for Steady and then Classic.
const Both bench.Protocol = "both"

// Protocols are those that Matmul can measure by.
var Protocols = []bench.Protocol{bench.Steady, bench.Classic, Both}

// MatmulOptions are those of one engine's product on one device. With Both, Repeat is
// the classic loop's alone: products that are timed one by one would be neither
// protocol.
type MatmulOptions struct {
	lab.Settings
	Engine, Device string     // Device is a word that hardware.Pick knows
	GEMM           bench.GEMM // of the inputs that Settings say
	Protocol       bench.Protocol
}

// classicRepeat is the tutorial's own number of runs.
const classicRepeat = 6

// classic marks the lane of the classic loop where a device has two.
const classic = "#classic"

// Matmul measures one lane that was chosen by name. A device that is not there is an
// error, never a run on another.
func Matmul(ctx context.Context, d lab.Deps, o MatmulOptions, s *event.Stream) (*record.Run, error) {
	list, err := catalog.Select([]string{o.Engine})
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	r := d.Begin(ctx, s, record.MatMul)
	found := d.Start(ctx, s, list, o.Settings.Options)
	defer catalog.Close(found)
	r.Cards = catalog.Cards(r.Cards, found)
	lane, err := lab.Choose(found[0], o.Device)
	if err != nil {
		return nil, err
	}
	return matmul(ctx, d, o, s, r, lane)
}

func (o MatmulOptions) check() error {
	switch o.Protocol {
	case bench.Steady, bench.Classic, Both:
	default:
		return fault.Errorf(fault.Invalid, "unknown protocol %q", o.Protocol).With(fault.DidYouMean(string(o.Protocol), names()))
	}
	if g := o.GEMM; g.M < 1 || g.N < 1 || g.K < 1 {
		return fault.Errorf(fault.Invalid, "%s is not a product: at least 1 is needed of each", unit.Cube(g.M, g.N, g.K)).With(fault.Change("size", ""))
	}
	return o.Settings.Check()
}

func names() []string {
	var names []string
	for _, p := range Protocols {
		names = append(names, string(p))
	}
	return names
}

// matmul is Matmul with the lane as an argument.
func matmul(ctx context.Context, d lab.Deps, o MatmulOptions, s *event.Stream, r *record.Run, lane bench.Lane) (*record.Run, error) {
	lane.GEMM, lane.GEMM.Data = o.GEMM, o.Data
	lane.GEMM.Sum = o.Protocol == bench.Classic
	lanes := []bench.Lane{lane}
	lab.LaneIDs(lanes)
	if o.Protocol == Both {
		second := lanes[0]
		second.ID += classic
		second.GEMM.Sum = true
		lanes = append(lanes, second)
	}
	r.Threads, r.Repeat = o.Threads, o.Repeat
	lab.Opened(s, r)
	lab.Announce(s, lanes)
	lab.Note(s, "measuring "+unit.Cube(o.GEMM.M, o.GEMM.N, o.GEMM.K))
	runner := d.Runner(s, o.Timeout)
	runner.Peak, runner.Sensors = d.Peak(o.Settings.Options), d.Sensors()
	lab.Bound(lanes)
	if o.Protocol != bench.Classic {
		stop := o.Stop()
		if o.Protocol == Both {
			stop.Repeat = 0
		}
		r.Results = runner.Race(ctx, lanes[:1], o.Seed, stop)
	}
	if o.Protocol != bench.Steady && ctx.Err() == nil {
		last := lanes[len(lanes)-1:]
		repeat := o.Repeat
		if repeat == 0 {
			repeat = classicRepeat
		}
		r.Results = append(r.Results, runner.Classic(ctx, last, o.Seed, repeat)...)
	}
	return d.Finish(ctx, s, r), nil
}
