package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/forecast"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/roof"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/store"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// speeds are what is known of how fast models generate here.
type speeds struct {
	past      []forecast.Past
	bandwidth float64 // bytes per second that the CPU reads from memory; 0: not known
}

const (
	bandwidthLimit  = 2 << 30         // bytes of the arrays, as in gpuplay llm
	bandwidthWithin = 2 * time.Second // after that, what was measured until then counts
)

// speeds looks up what was measured of models on this machine, and measures the bandwidth
// of its memory, which takes a fraction of a second on most machines.
func (a *app) speeds(ctx context.Context) speeds {
	s := speeds{past: a.past(ctx)}
	ctx, cancel := context.WithTimeout(ctx, bandwidthWithin)
	defer cancel()
	limit := bandwidthLimit
	if free := host.Free(); free > 0 {
		limit = int(min(int64(limit), free/4))
	}
	// Where it cannot be measured, nothing is said of a model that was not measured either.
	if b, _ := roof.Memory(ctx, host.Threads(), limit); len(b.Read) > 0 {
		s.bandwidth = stats.Median(b.Read)
	}
	return s
}

// pastRuns is how many of the latest runs of llm are looked at.
const pastRuns = 200

// past returns what the runs that are kept say of models on this machine. A store that
// cannot be read is gpuplay results' business: there is no past then.
func (a *app) past(ctx context.Context) []forecast.Past {
	if _, err := os.Stat(filepath.Join(a.env.data, store.File)); a.env.data == "" || err != nil {
		return nil
	}
	s, err := store.Open(a.env.data)
	if err != nil {
		return nil
	}
	defer s.Close()
	entries, _, err := s.List(store.Filter{Kind: record.LLM, Limit: pastRuns})
	if err != nil {
		return nil
	}
	var runs []*record.Run
	for _, e := range entries {
		if r, err := s.Run(e); err == nil && e.Origin == "" && ctx.Err() == nil {
			runs = append(runs, r)
		}
	}
	return forecast.Read(runs, host.Describe(ctx))
}

// of returns a forecast for the CPU, or the GPU; nil where there is none.
func (s speeds) of(m model.Model, gpu bool) *forecast.Forecast {
	if f, ok := forecast.Of(m, gpu, s.bandwidth, s.past); ok {
		return &f
	}
	return nil
}

// cell is a forecast in a column.
func cell(f *forecast.Forecast) string {
	switch {
	case f == nil:
		return ""
	case f.Measured:
		return unit.Digits3(f.Rate)
	}
	return "~" + rounded(f.Rate)
}

// rounded is a rate with the digits that a forecast deserves.
func rounded(rate float64) string {
	step := math.Pow(10, math.Floor(math.Log10(rate))-1)
	return strconv.FormatFloat(math.Round(rate/step)*step, 'f', max(0, -int(math.Round(math.Log10(step)))), 64)
}

// basis says where forecasts are from.
func basis(f *forecast.Forecast) string {
	switch {
	case f.Measured:
		return "measured here"
	case f.Of != "":
		return fmt.Sprintf("modelled from %s/s, which %s reached here", unit.Bytes(f.Bandwidth), f.Of)
	}
	return fmt.Sprintf("modelled from %s/s measured", unit.Bytes(f.Bandwidth))
}

// legend explains the columns of forecasts for some models, "" if there are none. It says by
// how much the model misses what was measured on this machine.
func (s speeds) legend(list []model.Model) string {
	var parts []string
	for _, gpu := range []bool{false, true} {
		for _, m := range list {
			if f := s.of(m, gpu); f != nil && !f.Measured && (!gpu || len(parts) == 0) {
				how := "from what other models reached here"
				if f.Of == "" {
					how = basis(f)
				}
				parts = append(parts, "~ about, "+how)
				break
			}
		}
	}
	errors := slices.Concat(forecast.Errors(false, s.bandwidth, s.past), forecast.Errors(true, 0, s.past))
	if len(parts) > 0 && len(errors) > 0 {
		for i := range errors {
			errors[i] = math.Abs(errors[i])
		}
		parts = append(parts, fmt.Sprintf("so modelled, %s measured here %s missed by %s at most", unit.Plural(len(errors), "model"), map[bool]string{true: "is", false: "are"}[len(errors) == 1], unit.Percent(slices.Max(errors))))
	}
	if len(parts) == 0 {
		return ""
	}
	return "tok/s: tokens per second at generation; " + strings.Join(parts, "; ")
}

// expects says before a download how fast the model will be here, and whether it fits.
func (a *app) expects(ctx context.Context, p *hub.Plan) string {
	free := host.Free()
	// Until the file is here, all of its weights are taken to be read for each token.
	m := model.Model{Name: p.ID, Bytes: p.Bytes, TokenBytes: p.Bytes}
	if strings.HasSuffix(p.Open, ".gguf") {
		m.Runtimes = []string{model.LlamaCpp}
	}
	if free > 0 && !m.Fits(free) {
		return fmt.Sprintf("does not fit into the memory that is free here, %s", unit.Bytes(float64(free)))
	}
	var parts []string
	if len(m.Runtimes) > 0 {
		s := a.speeds(ctx)
		for _, gpu := range []bool{true, false} {
			if f := s.of(m, gpu); f != nil {
				parts = append(parts, fmt.Sprintf("about %s tok/s on this %s, %s", rounded(f.Rate), map[bool]string{true: "GPU", false: "CPU"}[gpu], basis(f)))
			}
		}
	}
	if len(parts) > 0 {
		parts = append(parts, "more if only some experts are used for each token")
	}
	if free > 0 {
		parts = append(parts, fmt.Sprintf("fits into the %s of memory that are free", unit.Bytes(float64(free))))
	}
	return strings.Join(parts, "; ")
}
