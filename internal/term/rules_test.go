package term

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/card"
	"github.com/gpuplay/gpuplay/internal/encode"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// The tests of this file are named after the rules of docs/MEASURING.md.

// similar are notes that end, begin or go on as others do.
var similar = []string{
	"slow", "very slow", "not very slow", "slow at first", "s", "ow", "w", "1", "11", "2 1", "¹", "¹ slow", "[1]", "[1] slow", "[10] slow",
	"noisy", "noisy: slow", "a: noisy: slow", "slow: a", "GPU: slow", "PyTorch: GPU: slow",
}

// Marks lead each row to its own notes and to no other, whatever the notes' texts are.
func TestRuleNotesStayWithTheirLanes(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 4))
		want := map[string][]string{}
		x := table{corner: "lane", columns: []column{{head: "figure"}}}
		for g := range 1 + random.IntN(3) {
			var rows []row
			for i := range 1 + random.IntN(4) {
				name := fmt.Sprintf("lane%c%c", 'a'+g, 'a'+i)
				for range random.IntN(6) {
					if n := similar[random.IntN(len(similar))]; !slices.Contains(want[name], n) {
						want[name] = append(want[name], n)
					}
				}
				one := row{name: name, cells: []string{"7"}, notes: want[name]}
				if random.IntN(4) == 0 {
					one.failure = "broken"
				}
				rows = append(rows, one)
			}
			x.groups = append(x.groups, group{rows: rows})
		}
		lines := draw(x, Style{Width: 200, Unicode: seed%2 == 0})
		got := map[string][]string{}
		for name, notes := range want {
			if len(notes) == 0 {
				continue
			}
			i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), name) })
			for _, mark := range strings.Fields(lines[i])[1:] {
				if mark == "7" || mark == "broken" {
					break
				}
				for _, l := range lines[i+1:] {
					if text, ok := strings.CutPrefix(l, "  "+mark+" "); ok {
						got[name] = append(got[name], text)
						break
					}
				}
			}
		}
		for name, notes := range want {
			for i, n := range notes { // superscripts in a text become digits where only ASCII may be
				notes[i] = Style{Unicode: seed%2 == 0}.clean(n)
			}
			slices.Sort(notes)
			slices.Sort(got[name])
			if !slices.Equal(got[name], notes) {
				t.Fatalf("seed %d: %s has the notes %q, want %q:\n%s", seed, name, got[name], notes, strings.Join(lines, "\n"))
			}
		}
	}
}

// The notes of a sweep stay with their lanes too.
func TestRuleNotesOfSweeps(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 5))
		r := recordtest.Run(record.Sweep)
		want := map[string]bool{}
		devices := []hardware.Device{recordtest.BuiltIn, recordtest.OpenBLAS, recordtest.TorchCPU, recordtest.TorchGPU}
		names := map[string]string{}
		for _, n := range []int{64, 512} {
			for i, d := range devices {
				r.Results = append(r.Results, recordtest.Result(d, 1e12, recordtest.Engine(fmt.Sprint("engine", i)), recordtest.Size(n, n, n), func(x *bench.Result) {
					for range random.IntN(4) {
						if text := similar[random.IntN(len(similar))]; !slices.Contains(x.Facts.Notes, text) {
							x.Facts.Notes = append(x.Facts.Notes, text)
						}
					}
				}))
			}
		}
		x := judge.NewSweep(r)
		for _, l := range x.Lanes {
			names[l.ID] = l.Name
		}
		for _, y := range r.Results {
			for _, n := range y.Facts.Notes {
				want[names[y.Lane]+": "+n] = true
			}
		}
		got := map[string]bool{}
		for _, n := range x.Notes(recordtest.Flags{}) {
			n, _, _ = strings.Cut(n, " (at ")
			if got[n] {
				t.Errorf("seed %d: %q is there twice", seed, n)
			}
			got[n] = true
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: notes %v, want %v", seed, got, want)
		}
	}
}

// shown is a ratio as people are told of it. The sizes of products have a number behind
// the sign, or a tilde where they are shortened.
var shown = regexp.MustCompile(`[0-9]×($|[^0-9~])`)

// bare is a ratio in a table's cell: 1.08 (1.06–1.10).
var bare = regexp.MustCompile(`(^|[|÷ ])[0-9.]+ \([0-9.]+–[0-9.]+\)`)

// cardOf returns the texts of a run's card, one per line; none where it has no card.
func cardOf(r *record.Run) string {
	d, ok := card.New(r, card.Themes[0], "")
	if !ok {
		return ""
	}
	lines := []string{d.Title}
	for _, s := range d.Shapes {
		lines = append(lines, s.Text)
	}
	return strings.Join(lines, "\n")
}

// ratios returns where a run shows a ratio of two lanes, in any format and sentence.
func ratios(t *testing.T, r *record.Run) []string {
	t.Helper()
	var found []string
	look := func(where, text string) {
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\n"); shown.MatchString(line) || bare.MatchString(line) {
				found = append(found, where+": "+line)
			}
		}
	}
	for _, s := range judge.Sentences(r) {
		look("sentence", s)
	}
	look("protocols", judge.Protocols(r))
	for _, width := range []int{120, 80, 40} {
		text := tableOf(t, r, Style{Width: width, Unicode: true, Words: recordtest.Flags{}})
		look(fmt.Sprintf("table of %d columns", width), strings.Join(strings.Fields(text), " ")) // lines broken within a ratio too
	}
	look("card", cardOf(r))
	for _, format := range encode.Formats(r.Kind) {
		var b bytes.Buffer
		if err := encode.Write(&b, r, format, recordtest.Flags{}); err != nil {
			t.Fatal(err)
		}
		switch format {
		case "json", "jsonl":
			for d := json.NewDecoder(&b); d.More(); {
				var v any
				if err := d.Decode(&v); err != nil {
					t.Fatal(err)
				}
				found = append(found, ratioFields(v, format)...)
			}
		case "csv":
			rows, err := csv.NewReader(&b).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			for i, head := range rows[0] {
				if head != "first_times_as_fast" && head != "first_low" && head != "first_high" || r.Kind != record.Sweep {
					continue
				}
				for _, row := range rows[1:] {
					if row[i] != "" {
						found = append(found, "csv: "+head+" "+row[i])
					}
				}
			}
		default:
			look(format, b.String())
		}
	}
	return found
}

// ratioFields returns the fields named ratio that are not null, and texts that hold a
// ratio.
func ratioFields(v any, at string) (found []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			if name == "ratio" && x != nil {
				found = append(found, fmt.Sprintf("%s.ratio: %v", at, x))
			}
			found = append(found, ratioFields(x, at+"."+name)...)
		}
	case []any:
		for _, x := range v {
			found = append(found, ratioFields(x, at)...)
		}
	case string:
		if shown.MatchString(v) {
			found = append(found, at+": "+v)
		}
	}
	return found
}

// What keeps two lanes of products from being compared, and whether it counts where
// both have it.
var faults = []struct {
	name  string
	both  bool // counts there too
	spoil func(*bench.Result)
}{
	{"another size", false, recordtest.Size(4096, 4096, 2048)},
	{"transposed", false, func(r *bench.Result) { r.GEMM.TransA = !r.GEMM.TransA }},
	{"another type", false, func(r *bench.Result) { r.GEMM.In, r.GEMM.Out = matrix.BFloat16, matrix.BFloat16 }},
	{"sums of another type", false, func(r *bench.Result) { r.GEMM.Acc = matrix.TF32 }},
	{"results of another type", false, func(r *bench.Result) { r.GEMM.Out = matrix.Float64 }},
	{"another protocol", false, func(r *bench.Result) { r.Protocol = bench.Classic }},
	{"the sum timed too", false, func(r *bench.Result) { r.GEMM.Sum = true }},
	{"another seed", false, func(r *bench.Result) { r.Seed += 7 }},
	{"a smaller product", true, recordtest.Warned(measure.Smaller, "measured on a smaller product")},
	{"interrupted", true, recordtest.Warned(measure.Interrupted, "interrupted")},
	{"a software GPU", true, func(r *bench.Result) { r.Device.Kind = hardware.SoftwareGPU }},
	{"never checked", true, func(r *bench.Result) { r.Check = nil }},
	{"last product not checked", true, recordtest.Warned(measure.Unchecked, "its last product was not checked")},
	{"check failed", true, func(r *bench.Result) { r.Check.Passed = false }},
	{"other arithmetic", true, func(r *bench.Result) { r.Check.Passed, r.Check.Arithmetic = false, "tf32" }},
	{"not believed", true, recordtest.Doubtful(true)},
	{"wrong", true, func(r *bench.Result) { r.Error = fault.Errorf(fault.Wrong, "wrong result") }},
	{"crashed", true, func(r *bench.Result) { r.Error = fault.Errorf(fault.Crashed, "ended by signal 6") }},
	{"not measured", true, func(r *bench.Result) { r.Samples = []bench.Sample{} }},
}

// No ratio of two lanes of products that differ in anything but the engine, in whatever
// kind of run, format, table or sentence. Without the fault there is one.
func TestRuleRatios(t *testing.T) {
	devices := []hardware.Device{recordtest.BuiltIn, recordtest.OpenBLAS, recordtest.MKL, recordtest.TorchCPU, recordtest.TorchGPU, recordtest.JAX}
	alive := map[record.Kind]int{}
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 6))
		kind := []record.Kind{record.Race, record.Sweep, record.MatMul}[random.IntN(3)]
		f := faults[random.IntN(len(faults))]
		order := random.Perm(len(devices))
		speeds := []float64{1e9 * (1 + 1e4*random.Float64()), 1e9 * (1 + 1e4*random.Float64())}
		which, both := random.IntN(2), f.both && random.IntN(3) == 0
		lanes := func(faulty bool) *record.Run {
			r := recordtest.Run(kind)
			r.Interrupted = faulty && f.name == "interrupted"
			for i := range 2 {
				d := devices[order[i]]
				r.Results = append(r.Results, recordtest.Result(d, speeds[i], recordtest.Engine(fmt.Sprint("engine", i)), func(x *bench.Result) {
					x.GEMM.Sum = false
					if faulty && (both || which == i) {
						f.spoil(x)
					}
				}))
			}
			return r
		}
		if found := ratios(t, lanes(true)); len(found) > 0 {
			t.Errorf("seed %d, %s of %s and %s, lane %d (both: %v): %s:\n%s", seed, kind, devices[order[0]].Label(), devices[order[1]].Label(), which, both, f.name, strings.Join(found, "\n"))
		}
		if found := ratios(t, lanes(false)); len(found) > 0 {
			alive[kind]++
		}
	}
	for _, kind := range []record.Kind{record.Race, record.Sweep} {
		if alive[kind] < 50 {
			t.Errorf("only %d of the runs of kind %s show a ratio where one may be shown", alive[kind], kind)
		}
	}
}

// A ladder that was interrupted has no ratio either, nor has that of a software GPU.
func TestRuleLadder(t *testing.T) {
	for name, r := range recordtest.Ladders() {
		before := ratios(t, r)
		if (r.Interrupted || r.Ladder.Software) != (len(before) == 0) {
			t.Errorf("%s, interrupted: %v, software: %v: %q", name, r.Interrupted, r.Ladder.Software, before)
		}
		r.Interrupted = true
		if found := ratios(t, r); len(found) > 0 {
			t.Errorf("%s, interrupted:\n%s", name, strings.Join(found, "\n"))
		}
	}
}

// A lane whose product is wrong, at its first check or at its last, has no figure in any
// format but its samples, which are facts.
func TestRuleWrongHasNoFigure(t *testing.T) {
	figure := regexp.MustCompile(`1\.2[34]|\b123[0-9]`)
	for _, kind := range []record.Kind{record.Race, record.MatMul, record.Sweep} {
		for _, wrong := range []bool{false, true} {
			r := recordtest.Run(kind,
				recordtest.Result(recordtest.BuiltIn, 1.234567e12, recordtest.Engine("gocpu"), recordtest.Peak(1.1e13), func(x *bench.Result) {
					for i := range x.Samples {
						x.Samples[i].Wall = x.Samples[0].Wall
					}
					if wrong {
						x.Error = fault.Errorf(fault.Wrong, "wrong result: error 3.1e-02 where at most 6.0e-06 is expected")
					}
				}),
				recordtest.Result(recordtest.OpenBLAS, 3e9, recordtest.Engine("blas")))
			shows := func(where, text string) {
				t.Helper()
				found := figure.MatchString(text) || strings.Contains(text, "11 %")
				if found && wrong {
					t.Errorf("%s: %s shows a wrong lane's speed:\n%s", kind, where, text)
				}
				if wrong && !strings.Contains(text, "wrong") {
					t.Errorf("%s: %s does not say that it is wrong:\n%s", kind, where, text)
				}
				if !found && !wrong {
					t.Errorf("%s: %s does not show a right lane's speed:\n%s", kind, where, text)
				}
			}
			for _, width := range []int{120, 80} {
				shows("the table", tableOf(t, r, Style{Width: width, Unicode: true, Words: recordtest.Flags{}}))
			}
			shows("the card", cardOf(r))
			for _, format := range []string{"line", "csv", "md", "html"} {
				if !slices.Contains(encode.Formats(kind), format) {
					continue
				}
				var b bytes.Buffer
				if err := encode.Write(&b, r, format, recordtest.Flags{}); err != nil {
					t.Fatal(err)
				}
				text := b.String()
				if format == "html" { // without its style, its pictures and its samples
					text = regexp.MustCompile(`(?s)^.*<main>|<figure.*?</figure>|<details>.*?</details>|<[^>]*>`).ReplaceAllString(text, " ")
				}
				shows(format, text)
			}
			var b bytes.Buffer
			if err := encode.JSON(&b, r, recordtest.Flags{}); err != nil {
				t.Fatal(err)
			}
			var back struct {
				Results []struct{ Speed *struct{ Value float64 } }
			}
			if err := json.Unmarshal(b.Bytes(), &back); err != nil {
				t.Fatal(err)
			}
			if has := back.Results[0].Speed != nil; has == wrong || back.Results[1].Speed == nil {
				t.Errorf("%s: JSON has a speed of the lane that is wrong, %v: %v", kind, wrong, has)
			}
		}
	}
}

// The same of lanes of a language model.
func TestRuleTokenRatios(t *testing.T) {
	alive := 0
	for _, f := range []struct {
		name  string
		both  bool
		spoil func(*llm.Result)
	}{
		{"other numbers of tokens", false, func(r *llm.Result) {
			for i := range r.Samples {
				r.Samples[i].Tokens, r.Samples[i].PromptTokens = 32, 128
			}
			r.Shown = nil
		}},
		{"interrupted", true, recordtest.LaneWarned(measure.Interrupted, "interrupted")},
		{"nothing on the GPU", true, recordtest.LaneWarned(measure.NotOnGPU, "no layer is on the GPU")},
		{"a software GPU", true, func(r *llm.Result) { r.Facts.Device.Kind = hardware.SoftwareGPU }},
		{"wrong", true, func(r *llm.Result) { r.Check.Passed, r.Check.Reason = false, "another token" }},
		{"failed", true, func(r *llm.Result) { r.Error = fault.Errorf(fault.Crashed, "ended by signal 6") }},
		{"not measured", true, func(r *llm.Result) { r.Samples = []llm.Sample{} }},
	} {
		for seed := range uint64(12) {
			random := rand.New(rand.NewPCG(seed, 7))
			run := func(faulty bool) *record.Run {
				lanes := []*llm.Result{recordtest.Lane(recordtest.LlamaCPU, 0, 40, 300), recordtest.Lane(recordtest.LlamaGPU, 99, 20+200*float64(seed), 9000)}
				for i, x := range lanes {
					if faulty && (f.both && seed%4 == 3 || int(seed%2) == i) {
						f.spoil(x)
					}
				}
				if random.IntN(2) == 0 {
					slices.Reverse(lanes)
				}
				r := recordtest.Language(lanes...)
				r.Interrupted = faulty && f.name == "interrupted"
				return r
			}
			found := ratios(t, run(true))
			if f.name == "other numbers of tokens" { // the time to the first one is the same work
				found = slices.DeleteFunc(found, func(s string) bool { return strings.Contains(s, ".first.ratio") })
			}
			if len(found) > 0 {
				t.Errorf("seed %d, %s:\n%s", seed, f.name, strings.Join(found, "\n"))
			}
			if len(ratios(t, run(false))) > 0 {
				alive++
			}
		}
	}
	if alive < 40 {
		t.Errorf("only %d runs show a ratio where one may be shown", alive)
	}
}

// No random run of products or tokens shows a ratio unless two of its lanes may be
// compared.
func TestRuleRatiosOfRandomRuns(t *testing.T) {
	for _, kind := range []record.Kind{record.Race, record.MatMul, record.Sweep, record.LLM} {
		for seed := range uint64(150) {
			r := recordtest.Random(kind, seed)
			if found := ratios(t, r); len(found) > 0 && !pairable(r) {
				t.Errorf("%s %d:\n%s", kind, seed, strings.Join(found, "\n"))
			}
		}
	}
}

// pairable reports whether any two lanes of a run may be compared.
func pairable(r *record.Run) bool {
	for _, a := range r.Results {
		for _, b := range r.Results {
			if a != b && len(judge.Compare(a, b).Differs) == 0 {
				return true
			}
		}
	}
	if r.Tokens == nil {
		return false
	}
	for _, a := range r.Tokens.Results {
		for _, b := range r.Tokens.Results {
			for _, m := range []llm.Metric{llm.Generating, llm.Prompting, llm.First} {
				if a != b && len(llm.Compare(a, b, m).Differs) == 0 {
					return true
				}
			}
		}
	}
	return false
}
