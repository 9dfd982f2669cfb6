package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A History holds the readings of one sensor during a run.
type History struct {
	Name        string       // "GPU 0: power", "power of the CPU packages"
	Least, Most string       // "68 W", "690 W"
	Points      []CurvePoint // seconds since the run began, and values; at least two

	card, rank int // the number of the GPU, -1 for the machine; which quantity
}

// Says returns what a line of it shows: "power up to 690 W".
func (h *History) Says() string { return quantities[h.rank].name + " up to " + h.Most }

// OfGPU reports whether it is of a GPU, and not of the machine.
func (h *History) OfGPU() bool { return h.card >= 0 }

// A quantity is one whose history tells people something.
type quantity struct {
	of    event.Quantity
	name  string
	write func(float64) string
}

// quantities are in the order in which they are shown.
var quantities = []quantity{
	{event.Power, "power", func(v float64) string { return whole(v) + " W" }},
	{event.Utilization, "utilisation", func(v float64) string { return whole(v) + " %" }},
	{event.Clock, "clock", func(v float64) string { return unit.Digits3(v/1e9) + " GHz" }},
	{event.MemoryClock, "memory clock", func(v float64) string { return unit.Digits3(v/1e9) + " GHz" }},
	{event.Temperature, "temperature", func(v float64) string { return whole(v) + " °C" }},
	{event.Memory, "memory in use", unit.Bytes},
}

func whole(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

// Histories returns the readings of all sensors of a run: GPU after GPU, then the machine.
func Histories(r *record.Run) []History {
	if r.Telemetry == nil {
		return nil
	}
	var list []History
	for _, s := range r.Telemetry.Sources {
		for _, x := range s.Series {
			rank := slices.IndexFunc(quantities, func(q quantity) bool { return q.of == x.Quantity })
			if rank < 0 || x.CPU != nil || len(x.Values) != len(s.At) {
				continue
			}
			q := quantities[rank]
			h := History{Name: q.name, card: -1, rank: rank}
			switch {
			case x.Card != nil:
				h.card = *x.Card
				h.Name = fmt.Sprintf("GPU %d: %s", h.card, q.name)
			case strings.HasPrefix(x.Scope, "all "):
				h.Name += " of " + x.Scope
			case x.Scope != "":
				h.Name += " of the " + x.Scope
			}
			for i, v := range x.Values {
				if v != nil && (finite(*v) || *v == 0) {
					h.Points = append(h.Points, CurvePoint{s.At[i].Seconds(), *v})
				}
			}
			if len(h.Points) < 2 {
				continue
			}
			byValue := func(a, b CurvePoint) int { return cmp.Compare(a.Y, b.Y) }
			h.Least, h.Most = q.write(slices.MinFunc(h.Points, byValue).Y), q.write(slices.MaxFunc(h.Points, byValue).Y)
			list = append(list, h)
		}
	}
	slices.SortStableFunc(list, func(a, b History) int {
		return cmp.Or(cmp.Compare(uint(a.card), uint(b.card)), cmp.Compare(a.rank, b.rank)) // -1 is the largest
	})
	return list
}

// historyOf returns the power of a GPU during a run, or its utilisation; nil where neither
// was read.
func historyOf(r *record.Run, d hardware.Device) *History {
	card := d.Card
	if card == nil && len(r.Cards) == 1 {
		card = &r.Cards[0].Number
	}
	if d.Kind != hardware.GPU || card == nil {
		return nil
	}
	for _, h := range Histories(r) {
		if h.card == *card && (quantities[h.rank].of == event.Power || quantities[h.rank].of == event.Utilization) {
			return &h
		}
	}
	return nil
}
