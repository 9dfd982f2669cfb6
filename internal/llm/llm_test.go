package llm

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/model"
)

// The first token is the prompt's work: n tokens are n-1 steps.
func TestRates(t *testing.T) {
	g := Generation{PromptTokens: 100, PromptTime: time.Second / 2, Tokens: 11, TokenTime: 2 * time.Second}
	if r, ok := g.PromptRate(); !ok || r != 200 {
		t.Errorf("prompt at %v tokens/s", r)
	}
	if r, ok := g.Rate(); !ok || r != 5 {
		t.Errorf("generation at %v tokens/s", r)
	}
	for _, g := range []Generation{{}, {Tokens: 1, TokenTime: time.Second}, {Tokens: 5}, {Tokens: 5, TokenTime: -1}} {
		if r, ok := g.Rate(); ok {
			t.Errorf("%+v has a rate of %v", g, r)
		}
	}
}

func token(id int, logprobs ...float64) Token {
	t := Token{ID: id, Text: string(rune('a' + id))}
	for i, p := range logprobs {
		c := Candidate{ID: i, Text: string(rune('a' + i))}
		if !math.IsNaN(p) {
			c.LogProb = &p
		}
		t.Candidates = append(t.Candidates, c)
	}
	return t
}

func TestAgree(t *testing.T) {
	sure := []float64{-0.01, -5, -6}      // token 0 is clear
	tie := []float64{-0.7, -0.75, -6}     // 0 or 1, rounding decides
	worse := []float64{-0.1, -1.2, -6}    // 1 is three times less likely
	nan := []float64{-0.1, math.NaN(), 0} // a model that computes nonsense
	for name, tt := range map[string]struct {
		want, got []Token
		agree     int
		passed    bool
		says      string
	}{
		"the same":             {[]Token{token(0, sure...), token(2)}, []Token{token(0), token(2)}, 2, true, ""},
		"shorter":              {[]Token{token(0, sure...), token(2)}, []Token{token(0)}, 1, true, ""},
		"a near tie":           {[]Token{token(2), token(0, tie...)}, []Token{token(2), token(1)}, 1, true, ""},
		"a near tie at once":   {[]Token{token(0, tie...)}, []Token{token(1)}, 0, true, ""},
		"clearly less likely":  {[]Token{token(0, worse...)}, []Token{token(1)}, 0, false, "3 times less probable than \"a\" to the CPU lane"},
		"not among them":       {[]Token{token(2), token(0, sure...)}, []Token{token(2), token(7)}, 1, false, "not among the 3 most probable tokens of the CPU lane"},
		"no number":            {[]Token{token(0, nan...)}, []Token{token(1)}, 0, false, "the probabilities of token 1 on the CPU lane are no numbers"},
		"none in both":         {[]Token{token(2), token(0, nan...)}, []Token{token(2), token(0, nan...)}, 2, false, "the probabilities of token 2 on the CPU lane are no numbers"},
		"none in the lane":     {[]Token{token(0, sure...)}, []Token{token(0, nan...)}, 1, false, "the probabilities of token 1 are no numbers"},
		"none after the first": {[]Token{token(0, tie...), token(0, nan...)}, []Token{token(1), token(0)}, 0, true, ""},
		"unknown, after some":  {[]Token{token(2), token(0)}, []Token{token(2), token(1)}, 1, true, ""},
		"unknown, at once":     {[]Token{token(0)}, []Token{token(1)}, 0, false, "not even the first"},
		"nothing":              {nil, []Token{token(1)}, 0, false, "no tokens"},
		"what follows is moot": {[]Token{token(0, tie...), token(0, sure...)}, []Token{token(1), token(9)}, 0, true, ""},
	} {
		c := Agree("CPU", tt.want, tt.got)
		if c.Agree != tt.agree || c.Passed != tt.passed || !strings.Contains(c.Reason, tt.says) || tt.passed && c.Reason != "" {
			t.Errorf("%s: %+v", name, c)
		}
		if (c.Difference != nil) != (c.Agree < c.Of) {
			t.Errorf("%s: difference %+v after %d of %d", name, c.Difference, c.Agree, c.Of)
		}
	}
}

// A lane whose probabilities are no numbers is wrong, also where there is no other.
func TestAloneWithoutNumbers(t *testing.T) {
	checked := func(candidates ...Candidate) *Check {
		e := &entry{Contender: Contender{Name: "CPU"}, result: &Result{Shown: &Generation{Sequence: []Token{{Candidates: candidates}}}}}
		check([]*entry{e})
		return e.result.Check
	}
	if c := checked(Candidate{}); c == nil || c.Passed || c.Reason != "the probabilities of token 1 on the CPU lane are no numbers" {
		t.Errorf("%+v", c)
	}
	if c := checked(); c != nil {
		t.Errorf("nothing to compare with, and %+v", c)
	}
}

// fakeRuntime answers by a script; llamacpp's tests run the real thing through the
// same suite.
type fakeRuntime struct {
	device  hardware.Device
	ids     []int
	per     time.Duration // a token takes, generated or read
	compile time.Duration // the first run of each shape takes on top, as on a GPU
	launch  time.Duration // a prompt takes on top, however long it is
	silent  bool          // says nothing of prompts
	load    error
	fail    int // the request, from 1, that fails; 0: none
	ends    int // tokens after which it cannot continue; 0: it always can
	finish  string
	log     *[]string
	awake   *time.Duration // for how long a GPU has computed since another device did; nil: its clock is always high
}

type fakeSession struct {
	fakeRuntime
	compiled map[int]bool // shapes, by their long prompt
	requests int
	closed   bool
}

var errDied = &fault.Error{Code: fault.Crashed, Message: "died"}

func (f *fakeRuntime) Name() string { return "fake" }

func (f *fakeRuntime) Load(context.Context, string, Settings) (Session, error) {
	if f.load != nil {
		return nil, f.load
	}
	return &fakeSession{fakeRuntime: *f, compiled: map[int]bool{}}, nil
}

func (s *fakeSession) Facts() Facts {
	return Facts{Device: s.device, Runtime: "fake 1", DType: "float32", Context: 1024}
}

func (s *fakeSession) Generate(ctx context.Context, r Request, each func(Piece)) (g Generation, err error) {
	if s.closed {
		return g, errors.New("closed")
	}
	s.requests++
	kind := "text"
	if r.Filler > 0 {
		kind = "long"
	} else if r.Candidates > 0 {
		kind = "shown"
	}
	if s.log != nil {
		*s.log = append(*s.log, s.device.ID+" "+kind)
	}
	per := s.per
	if s.awake != nil && s.device.Kind == hardware.GPU && *s.awake < 400*time.Millisecond {
		per *= 2
	}
	g.PromptTokens = 5 + r.Filler
	if s.silent {
		g.PromptTokens = 0
	}
	g.PromptTime = s.launch + per*time.Duration(g.PromptTokens)
	if !s.compiled[r.Filler] {
		s.compiled[r.Filler] = true
		g.PromptTime += s.compile
	}
	tokens := r.Tokens
	if s.ends > 0 {
		tokens, g.Finish = min(tokens, s.ends), s.finish
	}
	if s.requests == s.fail {
		tokens, err = 2, errDied
	}
	for i := range tokens {
		if ctx.Err() != nil {
			return g, ctx.Err()
		}
		id := s.ids[i%len(s.ids)]
		if each != nil {
			each(Piece{Text: token(id).Text})
		}
		g.Text += token(id).Text
		g.Tokens++
		g.TokenTime = per * time.Duration(i)
		if r.Candidates > 0 {
			g.Sequence = append(g.Sequence, token(id, -0.1, -4, -4))
		}
	}
	g.First, g.Wall = g.PromptTime, g.PromptTime+g.TokenTime
	switch {
	case s.awake == nil:
	case s.device.Kind == hardware.GPU:
		*s.awake += g.Wall
	default:
		*s.awake = 0
	}
	return g, err
}

func (s *fakeSession) Close() error {
	s.closed = true
	return nil
}

var (
	fakeCPU  = hardware.Device{ID: "cpu", Name: "CPU", Kind: hardware.CPU}
	fakeGPU  = hardware.Device{ID: "gpu", Name: "GPU", Kind: hardware.GPU}
	fakeSoft = hardware.Device{ID: "soft", Name: "llvmpipe", Kind: hardware.SoftwareGPU}
)

func contenders(list ...*fakeRuntime) []Contender {
	var lanes []Contender
	for _, f := range list {
		c := Contender{ID: "fake/" + f.device.ID, Name: f.device.Name, Runtime: f}
		if f.device.ID != "cpu" {
			c.Settings.Layers = 99
		}
		lanes = append(lanes, c)
	}
	return lanes
}

var plan = Plan{Prompt: "Hi", Tokens: 8, Filler: 512, Repeat: 6, Budget: time.Hour, Limit: time.Minute, Turns: true}

func run(ctx context.Context, p Plan, list ...*fakeRuntime) []*Result {
	return (&Runner{Sink: &told{}}).Run(ctx, model.Model{Path: "m"}, contenders(list...), p)
}

// told is a sink that keeps what it is told, on a clock that moves with every look.
type told struct {
	at     time.Duration
	events []event.Event
	also   func(event.Event) // if not nil, is told too
}

func (s *told) Now() time.Duration {
	s.at += time.Millisecond
	return s.at
}

func (s *told) Emit(lane string, d event.Data) {
	e := event.Event{At: s.at, Lane: lane, Type: d.EventType(), Data: d}
	s.events = append(s.events, e)
	if s.also != nil {
		s.also(e)
	}
}

// Lanes answer one after the other, then take turns, forwards and backwards.
func TestRunTakesTurns(t *testing.T) {
	var log []string
	p := plan
	p.Repeat = 3
	run(t.Context(), p,
		&fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Millisecond, log: &log},
		&fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Microsecond, log: &log})
	want := "cpu shown, cpu text, cpu long, cpu long, " + // warm-up
		"gpu shown, gpu text, gpu long, gpu long, " +
		"cpu text, cpu long, gpu text, gpu text, gpu long, " + // the GPU after another lane: an answer to wake it
		"gpu text, gpu long, cpu text, cpu long, " +
		"cpu text, cpu long, gpu text, gpu text, gpu long"
	if got := strings.Join(log, ", "); got != want {
		t.Errorf("order:\n%s\nwant\n%s", got, want)
	}
}

func TestRunCompares(t *testing.T) {
	r := run(t.Context(), plan,
		&fakeRuntime{device: fakeCPU, ids: []int{0, 1}, per: time.Millisecond},
		&fakeRuntime{device: fakeGPU, ids: []int{0, 1}, per: 100 * time.Microsecond})
	for _, m := range []Metric{Generating, Prompting, First} {
		c := Compare(r[1], r[0], m)
		if len(c.Differs) > 0 || math.Abs(c.Ratio.Value-10) > 1e-6 || c.Even() {
			t.Errorf("%s: %+v", m, c)
		}
	}
	if !r[0].Verified() || !r[1].Verified() {
		t.Errorf("checks %+v, %+v", r[0].Check, r[1].Check)
	}
	bandwidth, peak := 1e9, 1e12
	limits := &Limits{Bandwidth: &bandwidth, Peak: &peak}
	m := model.Model{TokenBytes: 5e5, PromptParameters: 5e7}
	if share, ok := r[0].BandwidthShare(m, limits); !ok || math.Abs(share-0.5) > 1e-6 { // 1000 tok/s of 0.5 MB
		t.Errorf("bandwidth share %v", share)
	}
	if share, ok := r[0].PeakShare(m, limits); !ok || share < 0.09 || share > 0.11 { // 1000 tok/s of 0.1 GFLOP
		t.Errorf("peak share %v", share)
	}
	for _, unknown := range []*Limits{nil, {}} {
		if _, ok := r[0].BandwidthShare(m, unknown); ok {
			t.Error("a share of a bandwidth that nobody knows")
		}
		if _, ok := r[0].PeakShare(m, unknown); ok {
			t.Error("a share of a peak that nobody knows")
		}
	}
}

// No ratio is drawn of lanes that differ in more than their device.
func TestCompareRefuses(t *testing.T) {
	good := func() *fakeRuntime { return &fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Microsecond} }
	for name, tt := range map[string]struct {
		other *fakeRuntime
		says  string
	}{
		"garbage":        {&fakeRuntime{device: fakeGPU, ids: []int{9}, per: time.Microsecond}, "GPU failed the check"},
		"software GPU":   {&fakeRuntime{device: fakeSoft, ids: []int{0}, per: time.Microsecond}, "llvmpipe is a software GPU"},
		"died":           {&fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Microsecond, fail: 6}, "did not finish"},
		"not on the GPU": {&fakeRuntime{device: hardware.Device{ID: "gpu", Name: "CPU", Kind: hardware.CPU}, ids: []int{0}, per: time.Microsecond}, "nothing ran on the GPU"},
	} {
		cpu := good()
		cpu.device = fakeCPU
		r := run(t.Context(), plan, cpu, tt.other)
		c := Compare(r[1], r[0], Generating)
		if !slices.ContainsFunc(c.Differs, func(s string) bool { return strings.Contains(s, tt.says) }) {
			t.Errorf("%s: differs %q", name, c.Differs)
		}
		if r[1].Verified() && name != "software GPU" {
			t.Errorf("%s: verified", name)
		}
	}
}

// What fails keeps what was measured, and the others go on.
func TestRunKeepsWhatWasMeasured(t *testing.T) {
	cpu := func() *fakeRuntime { return &fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Millisecond} }
	gpu := &fakeRuntime{device: fakeGPU, ids: []int{0}, per: time.Microsecond}

	gpu.fail = 1
	r := run(t.Context(), plan, cpu(), gpu)
	if r[1].Error == nil || r[1].Shown == nil || r[1].Shown.Tokens != 2 || len(r[1].Samples) != 0 || len(r[0].Samples) != 6 {
		t.Errorf("died in its first answer: %+v, the other %d samples", r[1], len(r[0].Samples))
	}
	gpu.fail = 4 // shown, text, long, long: warm-up
	r = run(t.Context(), plan, cpu(), gpu)
	if !errors.Is(r[1].Error, fault.Crashed) || len(r[1].Samples) != 0 || len(r[0].Samples) != 6 {
		t.Errorf("died while warming up: %v, %d samples, the other %d", r[1].Error, len(r[1].Samples), len(r[0].Samples))
	}
	gpu.fail = 11 // shown, text, long, long, then rounds of text, long, and a text before the first and the third
	r = run(t.Context(), plan, cpu(), gpu)
	if !errors.Is(r[1].Error, fault.Crashed) || len(r[1].Samples) != 2 || len(r[0].Samples) != 6 {
		t.Errorf("died in its third round: %v, %d samples", r[1].Error, len(r[1].Samples))
	}
	gpu.fail = 9 // a long prompt
	r = run(t.Context(), plan, cpu(), gpu)
	if n := len(r[1].Samples); n != 2 || len(r[1].Values(Prompting)) != 1 || len(r[1].Values(Generating)) != 2 {
		t.Errorf("died at a long prompt: %d samples, %v", n, r[1].Samples)
	}
	gpu.fail, gpu.load = 0, &fault.Error{Code: fault.OutOfMemory, Message: "too big"}
	r = run(t.Context(), plan, gpu, cpu())
	if !errors.Is(r[0].Error, fault.OutOfMemory) || len(r[1].Samples) != 6 || r[1].Check != nil {
		t.Errorf("not loaded: %v, the other %d samples", r[0].Error, len(r[1].Samples))
	}

	ctx, cancel := context.WithCancel(t.Context())
	results := (&Runner{Sink: &told{also: func(e event.Event) {
		if p, ok := e.Data.(event.Progress); ok && p.Done == 5 {
			cancel()
		}
	}}}).Run(ctx, model.Model{}, contenders(cpu()), plan)
	if n := len(results[0].Samples); n != 5 || !results[0].Has(measure.Interrupted) || results[0].Error != nil {
		t.Errorf("interrupted: %d samples, %+v", n, results[0].Warnings)
	}
}

// A slow lane does with less and says so, unless the number of rounds was asked for.
func TestRunBudget(t *testing.T) {
	slow := func() *fakeRuntime { return &fakeRuntime{device: fakeSoft, ids: []int{0}, per: time.Second} }
	p := plan
	p.Budget = 30 * time.Second
	r := run(t.Context(), p, slow())
	if r[0].Filler != 0 || len(r[0].Samples) != 2 || !r[0].Has(measure.FewSamples) || !r[0].Has(measure.SoftwareGPU) {
		t.Errorf("filler %d, %d samples, %+v", r[0].Filler, len(r[0].Samples), r[0].Warnings)
	}
	if _, ok := r[0].Figure(Prompting); !ok {
		t.Error("no prompt speed, though its own prompt was read")
	}
	p.Exact = true
	if r := run(t.Context(), p, slow()); len(r[0].Samples) != 6 || r[0].Filler != 0 {
		t.Errorf("asked for: filler %d, %d samples", r[0].Filler, len(r[0].Samples))
	}
	p.Limit = time.Nanosecond
	if r := run(t.Context(), p, slow()); !errors.Is(r[0].Error, fault.Timeout) || r[0].Error.Message != "no first answer within 1.00 ns" || r[0].Error.Remedies[0].Param != "timeout" {
		t.Errorf("a step without time: %#v", r[0].Error)
	}
}

// An answer that ends early says why: a runtime may not go on past a model's own end.
func TestShortAnswer(t *testing.T) {
	for finish, says := range map[string]string{
		"stop":   "3 tokens instead of 8: the model ended its answer there; a prompt that asks for more",
		"length": "3 tokens instead of 8: the context of 1024 is full",
	} {
		r := run(t.Context(), plan, &fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Microsecond, ends: 3, finish: finish})
		if !r[0].Has(measure.ShortAnswer) || !strings.Contains(r[0].Warnings[0].Text, says) {
			t.Errorf("%s: %+v", finish, r[0].Warnings)
		}
	}
}

// Lanes that were not in memory together are compared by their intervals alone.
func TestRatioOfTwoTimes(t *testing.T) {
	p := plan
	p.Turns = false
	r := run(t.Context(), p,
		&fakeRuntime{device: fakeCPU, ids: []int{0}, per: time.Millisecond},
		&fakeRuntime{device: fakeGPU, ids: []int{0}, per: 100 * time.Microsecond})
	r[1].Samples[0].TokenTime *= 2
	r[0].Samples[0].TokenTime /= 2
	c := Compare(r[1], r[0], Generating)
	if r[0].Round || c.Ratio.Value < c.Ratio.Low || c.Ratio.High < c.Ratio.Value || c.Ratio.Low > 2.6 {
		t.Errorf("%+v", c)
	}
}

// What is told is what comes back: every piece of an answer, every round with its
// time, every check and every result, in the lanes that they belong to.
func TestTellsWhatItReturns(t *testing.T) {
	for name, tt := range map[string]struct {
		turns bool
		gpu   fakeRuntime
	}{
		"in turns":           {true, fakeRuntime{device: fakeGPU, ids: []int{0, 1}, per: time.Microsecond}},
		"one after another":  {false, fakeRuntime{device: fakeGPU, ids: []int{0, 1}, per: time.Microsecond}},
		"one that fails":     {true, fakeRuntime{device: fakeGPU, ids: []int{0, 1}, per: time.Microsecond, fail: 8}},
		"one with no answer": {true, fakeRuntime{device: fakeGPU, load: errDied}},
	} {
		t.Run(name, func(t *testing.T) {
			sink := &told{}
			p := plan
			p.Turns = tt.turns
			lanes := contenders(&fakeRuntime{device: fakeCPU, ids: []int{0, 1}, per: time.Millisecond}, &tt.gpu)
			results := (&Runner{Sink: sink, Cards: []hardware.Card{{Name: "GPU"}}}).Run(t.Context(), model.Model{Name: "M"}, lanes, p)
			for i, r := range results {
				var samples []Sample
				var text strings.Builder
				asked := ""
				var check *Check
				var loaded *Loaded
				var phases []string
				for _, e := range sink.events {
					if e.Lane != lanes[i].ID {
						continue
					}
					switch d := e.Data.(type) {
					case Sample:
						samples = append(samples, d)
					case Asked:
						asked += d.Prompt
					case Piece:
						text.WriteString(d.Text)
					case Check:
						check = &d
					case Loaded:
						loaded = &d
					case event.Phase:
						phases = append(phases, d.Phase)
					}
				}
				if d := cmp.Diff(r.Samples, samples, cmp.Comparer(func(a, b []Sample) bool { return slices.Equal(a, b) })); d != "" {
					t.Errorf("%s: returned and told samples: %s", r.Lane, d)
				}
				if d := cmp.Diff(r.Check, check); d != "" {
					t.Errorf("%s: returned and told check: %s", r.Lane, d)
				}
				if r.Lane != lanes[i].ID || r.Name != lanes[i].Name || r.Shown != nil && (r.Shown.Text != text.String() || asked != p.Prompt) {
					t.Errorf("%s: shown %+v, told %q", r.Lane, r.Shown, text.String())
				}
				if (loaded != nil) != (r.Facts.Runtime != "") || loaded != nil && (loaded.Model != "M" || loaded.Settings != r.Settings || cmp.Diff(loaded.Facts, r.Facts) != "") {
					t.Errorf("%s: loaded %+v, facts %+v", r.Lane, loaded, r.Facts)
				}
				want := "loading answering answered warming up measuring"
				if tt.gpu.load != nil && i == 1 {
					want = "loading"
				}
				if got := strings.Join(phases, " "); got != want {
					t.Errorf("%s: phases %s, want %s", r.Lane, got, want)
				}
				for j, s := range r.Samples {
					if s.End <= s.Start || j > 0 && s.Start < r.Samples[j-1].End {
						t.Errorf("%s: sample %d from %s to %s", r.Lane, j, s.Start, s.End)
					}
				}
				if last := sink.events[len(sink.events)-1]; i == 1 && last.Data != event.Data(r) {
					t.Errorf("the last event is %+v, not the last lane's result", last)
				}
			}
			if card := results[1].Facts.Device.Card; tt.gpu.load == nil && (card == nil || *card != 0) {
				t.Errorf("the GPU is on card %v", card)
			}
		})
	}
}
