package main

import (
	"cmp"
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
	"github.com/gpuplay/gpuplay/internal/plain"
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
	// Without a bandwidth there are no forecasts, only what was measured before.
	if b, _ := roof.Memory(ctx, host.Threads(), limit); len(b.Read) > 0 {
		s.bandwidth = stats.Median(b.Read)
	}
	return s
}

// pastRuns is how many of the latest runs of llm are looked at.
const pastRuns = 200

// past returns what the runs that are kept say of models on this machine.
func (a *app) past(ctx context.Context) []forecast.Past {
	return forecast.Read(a.latest(ctx, record.LLM, pastRuns), host.Describe(ctx))
}

// latest returns the latest runs of a kind that were measured on this machine, the last one
// first. A store that cannot be read is gpuplay results' business: there are none then.
func (a *app) latest(ctx context.Context, kind record.Kind, most int) (runs []*record.Run) {
	if _, err := os.Stat(filepath.Join(a.env.data, store.File)); a.env.data == "" || err != nil {
		return nil
	}
	s, err := store.Open(a.env.data)
	if err != nil {
		return nil
	}
	defer s.Close()
	entries, _, err := s.List(store.Filter{Kind: kind, Limit: most})
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if r, err := s.Run(e); err == nil && e.Origin == "" && ctx.Err() == nil {
			runs = append(runs, r)
		}
	}
	return runs
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

// rounded is a rate with the digits that a forecast deserves, two at most.
func rounded(rate float64) string {
	step := math.Pow(10, math.Floor(math.Log10(rate))-1)
	rate, _ = strconv.ParseFloat(strconv.FormatFloat(math.Round(rate/step)*step, 'g', 2, 64), 64)
	return strconv.FormatFloat(rate, 'f', -1, 64)
}

// basis says where forecasts are from.
func basis(f *forecast.Forecast) string {
	switch {
	case f.Measured:
		return "measured here"
	case f.Models > 0:
		return fmt.Sprintf("modelled from %s/s and %s for each layer, fitted to %d models measured here", unit.Bytes(f.Bandwidth), unit.Seconds(time.Duration(f.Layer*float64(time.Second))), f.Models)
	case f.Of != "":
		return fmt.Sprintf("modelled from %s/s, which %s reached here", unit.Bytes(f.Bandwidth), plain.Line(f.Of))
	}
	return fmt.Sprintf("modelled from %s of the %s/s measured", unit.Percent(forecast.Reached), unit.Bytes(f.Bandwidth))
}

// withContext says with how much context a forecast is, "" where its cost is not known.
func withContext(tokens int) string {
	if tokens == 0 {
		return ""
	}
	return fmt.Sprintf(" with %d tokens of context", tokens)
}

// legend explains the columns of forecasts for some models, "" if there are none.
func (s speeds) legend(list []model.Model) string {
	var parts []string
	for _, gpu := range []bool{false, true} {
		for _, m := range list {
			if f := s.of(m, gpu); f != nil && !f.Measured && (!gpu || len(parts) == 0) {
				how := "from what other models reached here"
				if f.Of == "" && f.Models == 0 {
					how = basis(f)
				}
				parts = append(parts, fmt.Sprintf("~ about, with up to %d tokens of context, %s", model.UsualContext, how), s.missed())
				break
			}
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "tok/s: tokens per second at generation; " + strings.Join(parts, "; ")
}

// missed says by how much forecasts miss what was measured on this machine, and that
// nothing was where it is so.
func (s speeds) missed() string {
	errors := slices.Concat(forecast.Errors(false, s.bandwidth, s.past), forecast.Errors(true, 0, s.past))
	if len(errors) == 0 {
		return "not compared with a measurement here yet"
	}
	for i := range errors {
		errors[i] = math.Abs(errors[i])
	}
	return fmt.Sprintf("so modelled, %s measured here %s missed by %s at most", unit.Plural(len(errors), "model"), map[bool]string{true: "is", false: "are"}[len(errors) == 1], unit.Percent(slices.Max(errors)))
}

// describedWithin is how long the Hub may take to show the headers of a model's files.
const describedWithin = 10 * time.Second

// expects says before a download how fast the model will be here, and whether it fits, in
// lines.
func (a *app) expects(ctx context.Context, c *hub.Client, p *hub.Plan) (lines []string) {
	within, cancel := context.WithTimeout(ctx, describedWithin)
	m, err := c.Describe(within, p)
	cancel()
	gguf := strings.HasSuffix(strings.ToLower(p.Open), ".gguf")
	if err != nil && gguf { // of its size alone: all weights are taken to be read
		m.TokenBytes, m.Runtimes = p.Bytes, []string{model.LlamaCpp}
	}
	m.Name = cmp.Or(m.Name, p.ID)
	tokens := 0
	if m.CacheBytes > 0 {
		tokens = m.UsualContext()
	}
	free := host.Free()
	if free > 0 && !m.Fits(free) {
		return []string{fmt.Sprintf("does not fit%s into the %s of memory that are free", withContext(tokens), unit.Bytes(float64(free)))}
	}
	modelled := false
	if gguf {
		s := a.speeds(ctx)
		for _, gpu := range []bool{true, false} {
			f := s.of(m, gpu)
			where := map[bool]string{true: "this GPU", false: "this CPU"}[gpu]
			switch {
			case f == nil:
			case f.Measured:
				lines = append(lines, fmt.Sprintf("%s tok/s on %s, measured here", unit.Digits3(f.Rate), where))
			default:
				modelled = true
				lines = append(lines, fmt.Sprintf("about %s tok/s on %s%s, %s", rounded(f.Rate), where, withContext(tokens), basis(f)))
			}
		}
		if modelled {
			lines = append(lines, s.missed())
		}
	}
	if free > 0 {
		lines = append(lines, fmt.Sprintf("fits%s into the %s of memory that are free", withContext(tokens), unit.Bytes(float64(free))))
	}
	switch {
	case err != nil && modelled:
		lines = append(lines, "not known before the download: the cache of keys and values, which is not counted, and whether only some experts are used for each token, which would be faster")
	case tokens == 0:
		lines = append(lines, "the cache of keys and values is not counted: its size is not known before the download")
	}
	return lines
}
