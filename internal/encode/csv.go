package encode

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/record"
)

// rows are those of a CSV file, whose cells are made harmless.
type rows struct{ *csv.Writer }

func newRows(w io.Writer) rows { return rows{csv.NewWriter(w)} }

// Write writes a row; an error shows in Error.
func (r rows) Write(cells []string) {
	for i, c := range cells {
		cells[i] = plain.Line(c)
	}
	r.Writer.Write(cells)
}

// productsCSV writes one row per lane: the summary, in base units.
func productsCSV(w io.Writer, r *record.Run, _ fault.Wording) error {
	c := newRows(w)
	c.Write([]string{"lane", "engine", "device", "api", "kind", "hardware", "library", "version", "in", "acc", "out", "m", "n", "k", "trans_a", "trans_b",
		"data", "protocol", "seed", "threads", "samples", "products", "seconds", "flops_median", "flops_low", "flops_high", "confidence", "peak_flops",
		"start_seconds", "prepare_seconds", "first_seconds", "verified", "arithmetic", "error"})
	for _, x := range r.Results {
		g := x.GEMM
		iters, wall := x.Total()
		row := []string{x.Lane, x.Engine, x.Device.ID, x.Device.API, string(x.Device.Kind), x.Device.Name, x.Device.Library, x.Device.Version,
			string(g.In), string(g.Acc), string(g.Out), strconv.Itoa(g.M), strconv.Itoa(g.N), strconv.Itoa(g.K),
			strconv.FormatBool(g.TransA), strconv.FormatBool(g.TransB), g.Data.String(), string(x.Protocol), strconv.FormatUint(x.Seed, 10),
			strconv.Itoa(x.Facts.Threads), strconv.Itoa(len(x.Samples)), strconv.Itoa(iters), float(wall.Seconds())}
		if s, ok := x.Speed(); ok {
			row = append(row, float(s.Value), float(s.Low), float(s.High), float(s.Confidence))
		} else {
			row = append(row, "", "", "", "")
		}
		arithmetic := ""
		if x.Check != nil {
			arithmetic = x.Check.Arithmetic
		}
		c.Write(append(row, peak(x), float(x.Start.Seconds()), float(x.Prepare.Seconds()), float(x.First.Seconds()), strconv.FormatBool(x.Verified()), arithmetic, failure(x)))
	}
	c.Flush()
	return c.Error()
}

// float writes a number so that it can be read back without loss.
func float(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// peak is the cell of a device's peak; empty where it is not known.
func peak(r *bench.Result) string {
	if r.Facts.Peak == nil {
		return ""
	}
	return float(*r.Facts.Peak)
}

// failure is the cell of a lane's error; empty without one.
func failure(r *bench.Result) string {
	if r.Error == nil {
		return ""
	}
	return r.Error.Message
}
