package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/stats"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Headline is what a run came to, in as few words as a picture has room for.
type Headline struct {
	Subject string        // what was measured: "matrix multiply 4096³, float32"
	Figure  string        // what is seen first: "33×", "101", "No ratio"
	Unit    string        // of Figure: "GFLOP/s"; empty where it has none
	Claim   string        // what Figure says: "as fast on the GPU", or why there is no figure
	Detail  string        // how certain it is: "31–37×, 95 % interval"; may be empty
	Proof   string        // how far the figures were checked: "both verified"
	Trust   Trust         // what Proof is
	Winner  hardware.Kind // of the device whose figure it is; empty where there is none
	Ratio   float64       // how many times as fast as the second entry the first is; 0: no ratio
	Entries []Entry       // what the figures are of, the best first
	Curves  []Curve       // of a sweep and of a training, in place of single figures
	History *History      // of the GPU whose figure is shown; nil where its sensors were not read
	Samples []float64     // of a single lane, in the order in which they were taken, in the unit of its Value
}

// A Trust says how far figures can be trusted.
type Trust int

const (
	Unproven Trust = iota // there was nothing to check them with
	Proven                // they were checked, and are right
	Doubted               // they are not, or not all of them
)

// An Entry is one figure of a headline, with what it was measured on.
type Entry struct {
	Kind     hardware.Kind
	Name     string  // of the hardware, or of what was done on it
	By       string  // what computed: "PyTorch 2.15 cuda, eager"
	Speed    string  // "50.4 TFLOP/s", or why there is none: "wrong result"
	Value    float64 // that Speed says, for a bar to scale; 0: none
	Verified bool
}

// A Curve is a line of a plot. All of its values are finite.
type Curve struct {
	Kind   hardware.Kind
	Name   string
	Points []CurvePoint // by rising X
}

// A CurvePoint is a size with a speed in FLOP/s, or an iteration with its loss.
type CurvePoint struct{ X, Y float64 }

// NewHeadline returns the headline of a run; ok is false for a diagnosis, which
// measures nothing, and for a run that another tool measured.
func NewHeadline(r *record.Run) (h Headline, ok bool) {
	switch r.Kind {
	case record.Race, record.MatMul:
		h = productHeadline(r)
	case record.Inputs:
		h = inputsHeadline(r)
	case record.Sweep:
		h = sweepHeadline(r)
	case record.LLM:
		h = tokenHeadline(r)
	case record.Generate:
		h = generationHeadline(r)
	case record.Finetune:
		h = trainingHeadline(r)
	case record.CPUs:
		h = cpuHeadline(r)
	case record.GPUs:
		h = gpuHeadline(r)
	case record.Scale:
		h = scalingHeadline(r)
	case record.Learn:
		if r.Noise != nil {
			h = noiseHeadline(r)
		} else {
			h = ladderHeadline(r)
		}
	default:
		return h, false
	}
	if h.Figure == "" {
		h.Figure, h.Winner, h.Ratio = "No result", "", 0
		h.Claim, h.Detail = "nothing was measured", ""
		if r.Error != nil {
			h.Claim = r.Error.Message
		}
	}
	if r.Interrupted {
		h.Proof, h.Trust = "interrupted", Doubted
	}
	if first, size := utf8.DecodeRuneInString(h.Claim); h.Winner == "" && size > 0 { // it is a sentence of its own
		h.Claim = string(unicode.ToUpper(first)) + h.Claim[size:]
	}
	return h, true
}

// Product names a product: "matrix multiply 4096³, float32". Transposition is in words, since
// the fonts of cards have no ᵀ.
func Product(g bench.GEMM) string {
	text := "matrix multiply " + unit.Cube(g.M, g.N, g.K)
	switch {
	case g.TransA && g.TransB:
		text += ", both transposed"
	case g.TransA:
		text += ", A transposed"
	case g.TransB:
		text += ", B transposed"
	}
	return text + ", " + Operands(g)
}

// claim fills in what a comparison of a GPU with a CPU says. at is what both did, as in
// " at generation"; back is the comparison the other way round.
func (h *Headline) claim(c, back measure.Comparison, level bool, at string) {
	switch {
	case len(c.Differs) > 0:
		h.Figure, h.Claim = "No ratio", "GPU and CPU differ in "+strings.Join(c.Differs, ", ")
		return
	case level:
		h.Figure, h.Claim = "Level", "no difference between GPU and CPU that can be seen"+at
	case c.Ratio.Value < 1:
		c = back
		h.Winner, h.Claim = hardware.CPU, "as fast on the CPU"+at
		slices.Reverse(h.Entries)
	default:
		h.Winner, h.Claim = hardware.GPU, "as fast on the GPU"+at
	}
	h.Detail = Range(c.Ratio)
	if c.Ratio.Firm() {
		h.Detail += ", 95 % interval"
	}
	if h.Winner != "" {
		h.Ratio, h.Figure = c.Ratio.Value, unit.Times(c.Ratio.Value)+"×"
	}
}

// productHeadline is that of a race, and of a single product.
func productHeadline(r *record.Run) Headline {
	var h Headline
	if len(r.Results) == 0 {
		return h
	}
	h.Subject = Product(Largest(r.Results).GEMM)
	cpu, gpu := Best(r.Results, hardware.CPU), Best(r.Results, hardware.GPU)
	if cpu != nil && gpu != nil {
		c := Compare(gpu, cpu)
		h.Entries = []Entry{productEntry(r, gpu), productEntry(r, cpu)}
		h.claim(c, Compare(cpu, gpu), even(c), "")
		h.History = historyOf(r, gpu.Device)
		h.Proof, h.Trust = "both verified", Proven
		if gpu.Has(measure.Unproven) {
			h.Proof, h.Trust = unproven, Unproven
		}
		if text := disturbed(gpu, cpu); text != "" && len(c.Differs) == 0 {
			h.Detail += "; " + text
		}
		return h
	}
	lanes := slices.DeleteFunc(slices.Clone(r.Results), func(x *bench.Result) bool {
		return x.Error != nil && x.Error.Code == fault.Unsupported // an engine that does not have the type is no doubt about the others
	})
	if len(lanes) == 0 {
		lanes = r.Results
	}
	sorted := slices.SortedStableFunc(slices.Values(lanes), func(a, b *bench.Result) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(Speed(b), Speed(a)))
	})
	for _, x := range sorted {
		h.Entries = append(h.Entries, productEntry(r, x))
	}
	best := sorted[0]
	h.Proof, h.Trust = verification(lanes)
	if h.Trust == Proven && best.Has(measure.Unproven) {
		h.Proof, h.Trust = unproven, Unproven
	}
	if !best.Verified() || best.Has(measure.Smaller) {
		h.Figure, h.Claim = "No result", cmp.Or(why(best), smaller)
		return h
	}
	missing := hardware.GPU
	if gpu != nil {
		missing = hardware.CPU
	}
	if i := slices.IndexFunc(sorted, func(x *bench.Result) bool { return x.Device.Kind == missing }); i >= 0 && r.Kind == record.Race {
		h.Entries = slices.Insert(slices.Delete(h.Entries, i, i+1), 1, productEntry(r, sorted[i]))
		h.Figure = "No ratio"
		h.Claim = fmt.Sprintf("no %s lane has a verified result: %s", kindName(missing), cmp.Or(why(sorted[i]), smaller))
		return h
	}
	h.quote(best)
	h.History = historyOf(r, best.Device)
	h.Claim = "on the " + kindName(best.Device.Kind)
	if r.Kind == record.Race && !withGPU(r) {
		h.Claim += "; no GPU was found"
		if has(r, hardware.SoftwareGPU) {
			h.Claim += ", only a software one"
		}
	}
	if len(sorted) == 1 {
		for _, s := range best.Seconds() {
			h.Samples = append(h.Samples, best.GEMM.FLOP()/s)
		}
	}
	if share := ShareOfPeak(best); share != "" {
		h.Detail += ", " + share + " of its peak"
	}
	return h
}

// quote fills in the figure of a lane of products, and how certain it is.
func (h *Headline) quote(x *bench.Result) {
	speed, _ := x.Speed()
	h.Winner = x.Device.Kind
	h.Figure, h.Unit, _ = strings.Cut(x.GEMM.Rate(speed.Value), " ")
	h.Detail = certainty(speed)
	if text := disturbed(x); text != "" {
		h.Detail += ", " + text
	}
}

// unproven is the proof of verified lanes that may have run elsewhere.
const unproven = "verified, the GPU not proven by sensors"

// verification says how many lanes of products are verified.
func verification(lanes []*bench.Result) (text string, trust Trust) {
	verified := 0
	for _, x := range lanes {
		if x.Verified() {
			verified++
		}
	}
	switch n := len(lanes); {
	case verified == 0:
		return "not verified", Doubted
	case verified < n:
		return fmt.Sprintf("%d of %d lanes verified", verified, n), Doubted
	case n > 1:
		return fmt.Sprintf("all %d lanes verified", n), Proven
	}
	return "verified", Proven
}

// smaller is why a lane that was verified is in no comparison all the same.
const smaller = "it had a smaller product than the others"

// rank orders lanes by how far their figures can be trusted.
func rank(r *bench.Result) int {
	switch {
	case r.Verified() && !r.Has(measure.Smaller) && r.Device.Kind != hardware.SoftwareGPU:
		return 3
	case r.Verified():
		return 2
	case len(r.Samples) > 0:
		return 1
	}
	return 0
}

// disturbed says which lanes were throttled, noisy or drifting; empty if none was.
func disturbed(lanes ...*bench.Result) string {
	var parts []string
	for _, x := range lanes {
		for _, d := range []struct {
			code measure.WarningCode
			word string
		}{{measure.Throttled, "throttled"}, {measure.Noise, "noisy"}, {measure.Drift, "drifting"}} {
			if x.Has(d.code) {
				parts = append(parts, strings.ToUpper(string(x.Device.Kind))+" "+d.word)
				break
			}
		}
	}
	return strings.Join(parts, ", ")
}

// why says why a lane has no verified result; empty for one that has.
func why(r *bench.Result) string {
	switch {
	case r.Error != nil:
		return r.Error.Message
	case len(r.Samples) == 0:
		return "it was not measured"
	}
	return Doubt(r)
}

// kindName names a kind of device in a sentence.
func kindName(k hardware.Kind) string {
	switch k {
	case hardware.CPU:
		return "CPU"
	case hardware.SoftwareGPU:
		return "software GPU, whose work a CPU does"
	}
	return "GPU"
}

// certainty says how near to a median the true one is.
func certainty(s stats.Interval) string {
	switch {
	case !s.Firm():
		return "from few samples"
	case s.Spread() > 1:
		return "unstable"
	}
	return "±" + Spread(s)
}

// productEntry is a lane of products as a headline shows it.
func productEntry(r *record.Run, x *bench.Result) Entry {
	e := Entry{Kind: x.Device.Kind, Name: PlaceWithCores(r, x.Device), By: x.Label(), Verified: x.Verified()}
	switch speed, _ := x.Speed(); {
	case x.Verified() && finite(speed.Value):
		e.Value, e.Speed = speed.Value, x.GEMM.Rate(speed.Value)
		if x.Device.Kind == hardware.SoftwareGPU {
			e.By += ", a software GPU"
		}
	case x.Error != nil:
		e.Speed = strings.ReplaceAll(string(x.Error.Code), "_", " ")
	case len(x.Samples) > 0:
		e.Speed = "not verified" // a figure that is not believed is not to be passed on
	default:
		e.Speed = "not measured"
	}
	return e
}

func finite(x float64) bool { return x > 0 && !math.IsInf(x, 0) && !math.IsNaN(x) }
