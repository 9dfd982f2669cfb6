package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// JSON writes the whole document as one indented object.
func JSON(w io.Writer, d *Document) error {
	e := encoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d.json())
}

// JSONL writes a line a lane, each a document of the same schema with that lane
// alone: lines can be kept, joined and read without the others.
func JSONL(w io.Writer, d *Document) error {
	e := encoder(w)
	for _, r := range d.Results {
		alone := *d
		alone.Results, alone.NotRaced = []*bench.Result{r}, nil
		if err := e.Encode(alone.json()); err != nil {
			return err
		}
	}
	return nil
}

// Parse reads what JSON or one line of JSONL wrote.
func Parse(data []byte) (*Document, error) {
	var d Document
	in := struct {
		*Document
		Lanes []*bench.Result `json:"results"`
	}{Document: &d}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	if d.Schema != Schema {
		return nil, fmt.Errorf("its schema is %q, not %q", d.Schema, Schema)
	}
	for i, r := range in.Lanes {
		if r == nil {
			return nil, fmt.Errorf("result %d is null", i)
		}
	}
	d.Results = in.Lanes
	return &d, nil
}

func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// json returns the document with what follows from its results.
func (d *Document) json() any {
	lanes := make([]laneJSON, len(d.Results))
	for i, r := range d.Results {
		lanes[i] = lane(r)
	}
	return struct {
		*Document
		Lanes       []laneJSON       `json:"results"`
		Comparisons []comparisonJSON `json:"comparisons"`
	}{d, lanes, d.comparisons()}
}

// CSV writes a row a lane: the summary, in base units.
func CSV(w io.Writer, d *Document) error {
	c := csv.NewWriter(w)
	c.Write([]string{"engine", "device", "api", "kind", "hardware", "library", "version", "in", "acc", "out", "m", "n", "k", "trans_a", "trans_b",
		"protocol", "seed", "threads", "samples", "products", "seconds", "flops_median", "flops_low", "flops_high", "confidence", "peak_flops",
		"start_seconds", "prepare_seconds", "first_seconds", "verified", "arithmetic", "error"})
	float := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for _, r := range d.Results {
		g := r.GEMM
		iters, wall := r.Total()
		row := []string{r.Engine, r.Device.ID, r.Device.API, string(r.Device.Kind), r.Device.Name, r.Device.Library, r.Device.Version,
			string(g.In), string(g.Acc), string(g.Out), strconv.Itoa(g.M), strconv.Itoa(g.N), strconv.Itoa(g.K),
			strconv.FormatBool(g.TransA), strconv.FormatBool(g.TransB), string(r.Protocol), strconv.FormatUint(r.Seed, 10),
			strconv.Itoa(r.Facts.Threads), strconv.Itoa(len(r.Samples)), strconv.Itoa(iters), float(wall.Seconds())}
		if s, ok := r.Speed(); ok {
			row = append(row, float(s.Value), float(s.Low), float(s.High), float(s.Confidence))
		} else {
			row = append(row, "", "", "", "")
		}
		peak, arithmetic, failure := "", "", ""
		if r.Facts.Peak != nil {
			peak = float(*r.Facts.Peak)
		}
		if r.Check != nil {
			arithmetic = r.Check.Arithmetic
		}
		if r.Error != nil {
			failure = r.Error.Message
		}
		c.Write(append(row, peak, float(r.Start.Seconds()), float(r.Prepare.Seconds()), float(r.First.Seconds()), strconv.FormatBool(r.Verified()), arithmetic, failure))
	}
	c.Flush()
	return c.Error()
}

// Line writes exactly one line a lane, in the form of the tutorial:
//
//	[PyTorch] device=mps dtype=float16 size=8192 repeat=6 time=0.95s ~6.94 TFLOP/s
//
// time is what all timed products took together and the speed follows from it.
// A lane without a figure says why in its place, a doubtful one says so behind.
func Line(w io.Writer, d *Document) error {
	for _, r := range d.Results {
		size := strconv.Itoa(r.GEMM.M)
		if r.GEMM.M != r.GEMM.N || r.GEMM.N != r.GEMM.K {
			size = fmt.Sprintf("%dx%dx%d", r.GEMM.M, r.GEMM.N, r.GEMM.K)
		}
		head := fmt.Sprintf("[%s] device=%s dtype=%s size=%s", r.Device.Library, r.Device.API, dtype(r.GEMM), size)
		iters, wall := r.Total()
		tail := ""
		switch {
		case r.Error != nil && iters == 0:
			tail = " failed: " + withHint(r.Error)
		case iters == 0:
			tail = " interrupted"
		default:
			tail = fmt.Sprintf(" repeat=%d time=%s ~%s T%s/s", iters, lineSeconds(wall.Seconds()), unit.Tera(float64(iters)*r.GEMM.FLOP()/wall.Seconds()), r.GEMM.Op())
			switch {
			case r.Error != nil:
				tail += " incomplete: " + withHint(r.Error)
			case r.Has(bench.WarnInterrupted):
				tail += " interrupted"
			case !r.Verified():
				tail += " not verified: " + doubt(r)
			}
		}
		if _, err := fmt.Fprintln(w, head+tail); err != nil {
			return err
		}
	}
	return nil
}

// lineSeconds prints two decimals, as the tutorial does, or three digits of less
// than a second.
func lineSeconds(s float64) string {
	if s >= 0.1 {
		return fmt.Sprintf("%.2fs", s)
	}
	return unit.Digits3(s) + "s"
}

// dtype returns what --dtype calls the product's types.
func dtype(g bench.GEMM) matrix.DType {
	if g.Acc == matrix.TF32 {
		return matrix.TF32
	}
	return g.In
}

// doubt returns why a measured result is not verified.
func doubt(r *bench.Result) string {
	for _, w := range r.Warnings {
		if w.Code == bench.WarnArithmetic || w.Code == bench.WarnAbovePeak {
			return w.Text
		}
	}
	return "its product was not checked"
}

// Markdown writes a table to paste and the sentence below it.
func Markdown(w io.Writer, d *Document) error {
	scale, name := scaleOf(d.Results)
	head, boundOf := bound(d.Results)
	var b strings.Builder
	fmt.Fprintf(&b, "| device | engine | size | dtype | %s | ± 95 %% | %s | starts in | ready in | |\n|---|---|---|---|--:|--:|--:|--:|--:|---|\n", name, head)
	for _, r := range d.Results {
		g := r.GEMM
		fmt.Fprintf(&b, "| %s | %s | %s | %s |", cell(r.Device.Name), cell(Label(r.Device)), unit.Cube(g.M, g.N, g.K), dtype(g))
		if s, ok := r.Speed(); ok {
			fmt.Fprintf(&b, " %s | %s | %s | %s | %s | %s |\n", unit.Digits3(s.Value/scale), spread(s), boundOf(r), unit.Seconds(r.Start), unit.Seconds(r.Ready()), cell(verdict(r)))
		} else {
			fmt.Fprintf(&b, " – | – | – | – | – | %s |\n", cell(verdict(r)))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(sentences(d), " "))
	_, err := io.WriteString(w, b.String())
	return err
}

// cell keeps a text from ending its cell.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }

// verdict says in a few words what a reader may believe of a lane.
func verdict(r *bench.Result) string {
	var parts []string
	switch {
	case r.Error != nil:
		parts = append(parts, r.Error.Message)
	case r.Verified():
		parts = append(parts, "verified")
	case len(r.Samples) == 0:
		parts = append(parts, "not measured")
	}
	for _, w := range r.Warnings {
		parts = append(parts, w.Text)
	}
	return strings.Join(append(parts, r.Facts.Notes...), "; ")
}
