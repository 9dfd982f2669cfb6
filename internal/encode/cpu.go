package encode

import (
	"io"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
)

// cpuCSV writes one row per figure, in base units.
func cpuCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	out := newRows(w)
	out.Write([]string{"what", "of", "threads", "unit", "median", "low", "high", "confidence", "samples"})
	row := func(what, of string, threads int, unitName string, series []float64) {
		if len(series) == 0 {
			return
		}
		m := stats.MedianInterval(series)
		out.Write([]string{what, of, strconv.Itoa(threads), unitName, float(m.Value), float(m.Low), float(m.High), float(m.Confidence), strconv.Itoa(len(series))})
	}
	if c := r.CPU; c != nil {
		for _, x := range c.Clocks {
			row("clock", "", x.Threads, "Hz", x.Hertz)
		}
		for _, x := range c.Peaks {
			row("peak", string(x.DType), x.Threads, bench.Square(1, x.DType).Op()+"/s", x.Ops)
		}
		for _, x := range c.Bandwidths {
			row("read", x.Place, x.Threads, "B/s", x.Read)
			row("triad", x.Place, x.Threads, "B/s", x.Triad)
		}
	}
	out.Flush()
	return out.Error()
}
