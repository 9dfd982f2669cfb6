// Package diagnose says what keeps a machine from measuring well (Run), and why what
// was measured is slow (Explain). Package doctor judges the machine; what is started
// for it, and how a record comes of it, is here.
package diagnose

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/doctor"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/probe"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// Options are a diagnosis's.
type Options struct {
	Deep      bool              // start every Python framework too, and see which devices it finds
	Python    string            // interpreter or environment to look at; empty: those that a race would take
	Variables map[string]string // of the environment: those in doctor.Variables that are set
	Probe     probe.Asker       // probe.Ask
	Limit     time.Duration     // for all other programs that are asked, together; 0: less than a second for each
	Timeout   time.Duration     // for starting an engine; 0: none
	Again     int               // how often a lane on the CPU is measured, to compare it with itself; 0: not at all
}

// againLimit is how long Options.Again may take.
const againLimit = 25 * time.Second

// Run examines this machine. A check that failed is a part of the record, not an
// error.
func Run(ctx context.Context, d lab.Deps, o Options, s *event.Stream) (*record.Run, error) {
	list := catalog.Engines
	if !o.Deep {
		list = slices.DeleteFunc(slices.Clone(list), func(e catalog.Entry) bool { return !e.BuiltIn() })
	}
	r := d.Begin(ctx, s, record.Doctor)
	var facts doctor.Facts
	var found []catalog.Contender
	var wg sync.WaitGroup
	wg.Go(func() {
		facts = doctor.Gather(ctx, doctor.Options{Variables: o.Variables, Find: finder(d.Catalog, o.Python), Ask: d.Catalog.Ask, Probe: o.Probe, Limit: o.Limit})
	})
	wg.Go(func() {
		found = d.Catalog.Discover(ctx, list, catalog.Options{Python: o.Python, Timeout: o.Timeout}, nil)
	})
	wg.Wait()
	defer catalog.Close(found)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.Cards = catalog.Cards(r.Cards, found)
	for _, c := range found {
		facts.Engines = append(facts.Engines, examined(c))
	}
	r.Checks = doctor.Examine(facts)
	if o.Again > 0 {
		again(ctx, d, o, s, r, found)
	}
	return d.Finish(ctx, s, r), nil
}

// again measures a lane of the built-in engine several times and adds whether verdicts on
// two runs hold here.
func again(ctx context.Context, d lab.Deps, o Options, s *event.Stream, r *record.Run, found []catalog.Contender) {
	i := slices.IndexFunc(found, func(c catalog.Contender) bool { return c.Name == "gocpu" })
	if i < 0 {
		return
	}
	lane, err := lab.Choose(found[i], "cpu")
	if err == nil {
		lane.GEMM = bench.Square(512, matrix.Float32)
		lanes := []bench.Lane{lane}
		lab.LaneIDs(lanes)
		lab.Announce(s, lanes)
		lab.Note(s, "comparing a lane with itself, for at most "+unit.Seconds(againLimit))
		r.Noise = d.Again(ctx, s, lanes[0], o.Again, againLimit, lab.Settings{Options: catalog.Options{Timeout: o.Timeout}, Seed: 1})
	}
	check := judge.NoiseCheck(r.Noise)
	at := 0 // behind the others of its group
	for j, c := range r.Checks {
		if c.Group == check.Group {
			at = j + 1
		}
	}
	r.Checks = slices.Insert(r.Checks, at, check)
}

// finder returns how a framework's interpreter is chosen: as for a race.
func finder(c *catalog.Catalog, asked string) func(context.Context, string) (python.Interpreter, error) {
	return func(ctx context.Context, framework string) (python.Interpreter, error) {
		return c.Search(framework, asked).Find(ctx, framework)
	}
}

// examined is what became of a contender, for the doctor.
func examined(c catalog.Contender) doctor.Engine {
	return doctor.Engine{Name: c.Name, BuiltIn: c.BuiltIn(), Start: c.Start, Found: c.Found, Error: fault.From(c.Err)}
}
