// Package noise is the lab that measures one lane again and again, to compare it with
// itself: how often is it called faster or slower on this machine, though nothing
// changed?
package noise

import (
	"context"
	"fmt"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

const (
	// Runs is how often the lane is measured: 200 comparisons of a run with the next.
	Runs = 201
	// Size is n of the n×n×n product that is measured.
	Size = 512
)

// Options say what is measured. The Budget is a limit in time.
type Options struct {
	lab.Settings
	Engine, Device string // Device is a word that hardware.Pick knows
	Size           int
}

// Run measures one lane that was chosen by name.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	list, err := catalog.Select([]string{o.Engine})
	if err != nil {
		return nil, err
	}
	if err := o.Settings.Check(); err != nil {
		return nil, err
	}
	if o.Size < 1 {
		return nil, fault.Errorf(fault.Invalid, "size %d: at least 1 is needed", o.Size).With(fault.Change("size", ""))
	}
	r := d.Begin(ctx, s, record.Learn)
	found := d.Start(ctx, s, list, o.Settings.Options)
	defer catalog.Close(found)
	r.Cards = catalog.Cards(r.Cards, found)
	lane, err := lab.Choose(found[0], o.Device)
	if err != nil {
		return nil, err
	}
	return run(ctx, d, o, s, r, lane)
}

// run is Run with the lane as an argument.
func run(ctx context.Context, d lab.Deps, o Options, s *event.Stream, r *record.Run, lane bench.Lane) (*record.Run, error) {
	lane.GEMM = bench.Square(o.Size, matrix.Float32)
	lanes := []bench.Lane{lane}
	lab.LaneIDs(lanes)
	lab.Announce(s, lanes)
	lab.Note(s, fmt.Sprintf("measuring %s in %s %d times, for at most %s", unit.Cube(o.Size, o.Size, o.Size), lane.Label(), Runs, unit.Seconds(o.Budget)))
	r.Threads, r.Budget = o.Threads, o.Budget
	r.Noise = &record.Noise{Runs: Runs, Results: []*bench.Result{}}
	lab.Opened(s, r)
	r.Noise = d.Again(ctx, s, lanes[0], Runs, o.Budget, o.Settings)
	return d.Finish(ctx, s, r), nil
}
