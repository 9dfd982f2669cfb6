package doctor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/report"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Result is what a result file holds, as far as an explanation needs it.
type Result struct {
	Schema   string            `json:"schema"`
	Machine  host.Machine      `json:"machine"`
	Lanes    []*bench.Result   `json:"results"`
	NotRaced []report.NotRaced `json:"not_raced"`
}

// ReadResult reads a document that race or matmul wrote with --format json.
func ReadResult(file string) (*Result, error) {
	refuse := func(format string, args ...any) (*Result, error) {
		return nil, &fault.Error{Code: fault.Invalid, Message: file + ": " + fmt.Sprintf(format, args...), Remedies: fault.Advice("gpuplay race --output race.json writes a result file")}
	}
	text, err := os.ReadFile(file)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return refuse("%v", path.Err)
	case err != nil:
		return refuse("%v", err)
	}
	var r Result
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(text, &r); {
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "invalid character '{' after top-level"):
		return refuse("holds more than one JSON value, as --format jsonl does: one document of --format json is needed")
	case errors.As(err, &syntax):
		return refuse("is not JSON: %v (byte %d)", err, syntax.Offset)
	case r.Schema != report.Schema && r.Schema == "":
		return refuse("is no result: it has no schema, %s is needed", report.Schema)
	case r.Schema != report.Schema:
		return refuse("has schema %q, this gpuplay reads %s", r.Schema, report.Schema)
	case err != nil:
		return refuse("%v", err)
	case len(r.Lanes) == 0:
		return refuse("holds no results")
	}
	for i, l := range r.Lanes {
		if err := sound(l); err != nil {
			return refuse("result %d %v", i+1, err)
		}
	}
	return &r, nil
}

// sound reports what makes a lane impossible to compute with.
func sound(l *bench.Result) error {
	if l == nil {
		return errors.New("is null")
	}
	g := l.GEMM
	const most = 1 << 30
	if min(g.M, g.N, g.K) < 1 || max(g.M, g.N, g.K) > most {
		return fmt.Errorf("is a product of %s", unit.Cube(g.M, g.N, g.K))
	}
	for _, d := range []matrix.DType{g.In, g.Out} {
		if d != matrix.Int32 && !slices.Contains(matrix.DTypes, d) {
			return fmt.Errorf("has the unknown dtype %q", d)
		}
	}
	for _, s := range l.Samples {
		if s.Iters < 1 || s.Wall <= 0 {
			return fmt.Errorf("has a sample of %d products in %s", s.Iters, s.Wall)
		}
	}
	return nil
}

// An Explanation says of every lane of a result how it stands and why.
type Explanation struct {
	Subject  string            `json:"subject"` // what was measured on what
	Lanes    []Verdict         `json:"lanes"`
	NotRaced []report.NotRaced `json:"not_raced,omitempty"`
}

// A Verdict is what can be said of one lane.
type Verdict struct {
	Lane     string  `json:"lane"`
	Label    string  `json:"label"`
	Speed    float64 `json:"speed,omitempty"` // FLOP/s, or OP/s of integers
	Standing string  `json:"standing"`        // against its peak and its neighbours
	Slow     bool    `json:"slow"`
	Causes   []Cause `json:"causes,omitempty"` // the most likely first
	gemm     bench.GEMM
}

// A Cause is a reason with the evidence for it in the file.
type Cause struct {
	Code     string  `json:"code"`
	Claim    string  `json:"claim"`
	Evidence string  `json:"evidence"`
	Fix      string  `json:"fix,omitempty"`
	Factor   float64 `json:"factor"` // how many times as fast the lane might be without it: a rough estimate, for the order
}

// fairShare is the share of its peak, or of its fastest neighbour's speed, below
// which a lane asks for an explanation: good kernels reach more on large products.
const fairShare = 0.7

// Explain says why the lanes of a result are slow, from what the file holds.
func Explain(r *Result) *Explanation {
	g := r.Lanes[0].GEMM
	e := &Explanation{
		Subject: fmt.Sprintf("%s %s on %s, %s", unit.Cube(g.M, g.N, g.K), g.In, r.Machine.CPU, count(r.Machine.Cores, "core")),
	}
	for _, l := range r.Lanes {
		e.Lanes = append(e.Lanes, verdict(r, l))
	}
	for _, m := range r.NotRaced {
		if m.API != "" { // a device was looked for: its engine is not on the GPU
			e.NotRaced = append(e.NotRaced, m)
		}
	}
	return e
}

func verdict(r *Result, l *bench.Result) Verdict {
	v := Verdict{Lane: l.Engine + "/" + l.Device.ID, Label: report.Label(l.Device), gemm: l.GEMM}
	if l.Protocol == bench.Classic {
		v.Label += ", classic loop"
	}
	speed, ok := l.Speed()
	if !ok {
		v.Standing = "not measured"
		if l.Error != nil {
			v.Standing = "failed: " + l.Error.Message
		}
		return v
	}
	v.Speed = speed.Value
	var standing []string
	if p := l.Facts.Peak; p != nil && *p > 0 {
		share := v.Speed / *p
		v.Slow = share < fairShare
		standing = append(standing, fmt.Sprintf("%s of its peak of %s", unit.Percent(share), l.GEMM.Rate(*p)))
	}
	if best := r.fastest(l); best != nil {
		s, _ := best.Speed()
		if share := v.Speed / s.Value; share < 1 {
			v.Slow = v.Slow || share < fairShare
			standing = append(standing, fmt.Sprintf("%s of %s", unit.Percent(share), report.Label(best.Device)))
		} else {
			standing = append(standing, fmt.Sprintf("%s× %s", unit.Times(share), report.Label(best.Device)))
		}
	}
	v.Standing = cmp.Or(strings.Join(standing, ", "), "no peak and no neighbour to compare it with")
	if !l.Verified() {
		v.Standing += ", not verified"
	}
	v.Slow = v.Slow || l.Device.Kind == hardware.SoftwareGPU || len(standing) == 0
	if !v.Slow {
		return v
	}
	for _, look := range causes {
		v.Causes = append(v.Causes, look(r, l)...)
	}
	slices.SortStableFunc(v.Causes, func(a, b Cause) int { return cmp.Compare(b.Factor, a.Factor) })
	return v
}

// fastest returns what a lane is compared with: for a GPU that is slower than a
// CPU that CPU, else the fastest other lane of its kind; both on the same product.
func (r *Result) fastest(l *bench.Result) *bench.Result {
	var best, cpu *bench.Result
	for _, o := range r.Lanes {
		if o == l || !o.Verified() || o.GEMM != l.GEMM || o.Protocol != l.Protocol {
			continue
		}
		if o.Device.Kind == l.Device.Kind && (best == nil || rate(o) > rate(best)) {
			best = o
		}
		if o.Device.Kind == hardware.CPU && l.Device.Kind != hardware.CPU && (cpu == nil || rate(o) > rate(cpu)) {
			cpu = o
		}
	}
	if cpu != nil && (rate(cpu) > rate(l) || best == nil) {
		return cpu
	}
	return best
}

func rate(l *bench.Result) float64 {
	s, _ := l.Speed()
	return s.Value
}
