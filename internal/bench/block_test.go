package bench_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/measure"
)

// seen are sensors that need a block and say what they are told to say.
type seen struct {
	block time.Duration
	say   map[string]*measure.Sensed // by the device's id
	uses  map[string]measure.Use
}

func (s *seen) Block() time.Duration { return s.block }
func (s *seen) Sense(d hardware.Device, u measure.Use) *measure.Sensed {
	s.uses[d.ID] = u
	if x, ok := s.say[d.ID]; ok {
		return x
	}
	return &measure.Sensed{Source: "NVML", During: &measure.State{Utilization: new(50.0)}}
}

func sensing(block time.Duration) *seen { return &seen{block: block, uses: map[string]measure.Use{}} }

// Where there are sensors, each lane computes without turns for as long as they need, and
// they are asked of all that it computed. None of its figures follows from that.
func TestRuleBlockForSensors(t *testing.T) {
	r := newRig(gpu("a", time.Millisecond), gpu("b", 2*time.Millisecond), gpu("slow", 3*time.Second))
	s := sensing(2 * time.Second)
	r.Sensors = s
	results := r.race(t, budget)
	for _, x := range results[:2] {
		if x.Block == nil || x.Block.Pause != 0 {
			t.Fatalf("%s: block %+v", x.Device.ID, x.Block)
		}
		list := x.Block.Samples
		last := list[len(list)-1]
		if long := last.End - list[0].Start; long < 2*time.Second || long > 2200*time.Millisecond {
			t.Errorf("%s computed for %s", x.Device.ID, long)
		}
		for i, b := range list {
			if b.Wall < 100*time.Millisecond || i > 0 && b.Start != list[i-1].End {
				t.Errorf("%s: sample %d of its block took %s from %s", x.Device.ID, i, b.Wall, b.Start)
			}
		}
		u := s.uses[x.Device.ID]
		if len(u.Windows) != len(x.Samples)+1 || u.Start > x.Samples[0].Start || u.End != last.End {
			t.Errorf("%s: asked of %d windows from %s to %s", x.Device.ID, len(u.Windows), u.Start, u.End)
		}
		iters := 0
		for _, b := range list {
			iters += b.Iters
		}
		if w := u.Windows[len(u.Windows)-1]; w.Start != list[0].Start || w.End != last.End || w.Work != float64(iters) {
			t.Errorf("%s: the block is %+v", x.Device.ID, w)
		}
		verified(t, x)
		if n, _ := x.Total(); n >= iters {
			t.Errorf("%s: %d products are in its samples", x.Device.ID, n)
		}
	}
	if results[2].Block != nil { // its samples are long enough
		t.Errorf("the slow lane has a block of %d samples", len(results[2].Block.Samples))
	}
	if len(s.uses["slow"].Windows) != len(results[2].Samples) {
		t.Errorf("of the slow lane, %d windows", len(s.uses["slow"].Windows))
	}
	if s.uses["a"].Alone || s.uses["a"].Large {
		t.Errorf("three lanes are on one card: %+v", s.uses["a"])
	}

	r = newRig(gpu("a", time.Millisecond), fake.NewDevice("cpu", hardware.CPU, 1e6))
	zero, one := 0, 1
	r.lanes[0].Device.Card = &zero
	r.lanes = append(r.lanes, r.lanes[0])
	r.lanes[2].ID, r.lanes[2].Device.Card = "c", &one
	r.lanes[2].GEMM = bench.Square(4096, r.lanes[2].GEMM.In)
	s = sensing(0) // no sensor needs it
	r.Sensors = s
	for _, x := range r.race(t, budget) {
		if x.Block != nil {
			t.Errorf("%s has a block without a need for it", x.Device.ID)
		}
	}
	if u := s.uses["a"]; !u.Alone || !u.Large { // of the last lane
		t.Errorf("alone on its card, with 192 MiB: %+v", u)
	}
}

// Where there is not time for all blocks, GPU lanes have theirs first, since it proves
// that they used a GPU; and what has no sensors needs none.
func TestRuleBlocksOfGPUsFirst(t *testing.T) {
	r := newRig(fake.NewDevice("cpu", hardware.CPU, 1e12), fake.NewDevice("vulkan", hardware.SoftwareGPU, 1e12), gpu("a", 20*time.Millisecond), gpu("b", 10*time.Millisecond))
	r.Sensors = sensing(2 * time.Second)
	var order []string
	r.told = func(lane string, d event.Data) {
		if d == (event.Phase{Phase: string(bench.InBlock)}) {
			order = append(order, lane)
		}
	}
	r.race(t, bench.Stop{Budget: 10 * time.Second, Until: time.Minute})
	if got, want := strings.Join(order, " "), "b cpu a"; got != want {
		t.Errorf("blocks of %s, want %s", got, want)
	}
}

// A block must end before the time until which all is to be measured.
func TestNoTimeForBlocks(t *testing.T) {
	r := newRig(gpu("a", time.Millisecond), gpu("b", time.Millisecond))
	r.Sensors = sensing(time.Minute)
	for _, x := range r.race(t, bench.Stop{Budget: 5 * time.Second, Until: 10 * time.Second}) {
		if x.Block != nil {
			t.Errorf("%s has a block", x.Device.ID)
		}
		verified(t, x)
	}
}

// A GPU lane on which the sensors saw nothing is not verified and in no ratio. One of
// which they cannot tell stays in it, with a label.
func TestRuleNotOnGPU(t *testing.T) {
	r := newRig(gpu("a", time.Millisecond), gpu("b", time.Millisecond), gpu("c", time.Millisecond))
	s := sensing(2 * time.Second)
	s.say = map[string]*measure.Sensed{
		"b": {Source: "NVML", Large: true, During: &measure.State{Utilization: new(0.0), Power: new(70.0)}, Rest: &measure.State{Power: new(70.0)}},
		"c": {},
	}
	r.Sensors = s
	list := r.race(t, budget)
	a, b, c := list[0], list[1], list[2]
	if got := strings.Join([]string{codes(a), codes(b), codes(c)}, "|"); got != "|not_on_gpu|unproven" {
		t.Errorf("warnings %s", got)
	}
	if !a.Verified() || b.Verified() || !c.Verified() {
		t.Errorf("verified: %v, %v, %v", a.Verified(), b.Verified(), c.Verified())
	}
	if d := bench.Compare(b, a).Differs; len(d) != 1 || d[0] != "Library b is not shown to have run on the GPU" {
		t.Errorf("compared: %q", d)
	}
	if d := bench.Compare(c, a).Differs; len(d) != 0 {
		t.Errorf("compared: %q", d)
	}
	if b.Sensors == nil || *b.Sensors.During.Utilization != 0 {
		t.Errorf("the result has %+v", b.Sensors)
	}
}

// sustained races a lane and a slower one on virtual clocks, and has the faster one
// sustain a minute. each says how long a product takes after a time of computing without a
// break.
func sustained(t *testing.T, each func(in time.Duration, k int) time.Duration) (fast, slow *bench.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { // the pause is in the time of the bubble
		var r *rig
		var from time.Duration
		first := scripted("a", func(_ bench.GEMM, k int) time.Duration {
			if from == 0 {
				return each(0, k)
			}
			return each(r.Now()-from, k)
		})
		r = newRig(first, gpu("b", 100*time.Millisecond))
		r.told = func(lane string, d event.Data) {
			if d == (event.Phase{Phase: string(bench.InBlock)}) {
				from = r.Now()
			}
		}
		stop := budget
		stop.Sustain = time.Minute
		began := time.Now()
		results := r.race(t, stop)
		if paused := time.Since(began); paused != 5*time.Second {
			t.Errorf("a pause of %s", paused)
		}
		fast, slow = results[0], results[1]
	})
	return fast, slow
}

// A lane that slows down under load has a burst and a sustained speed, and is throttled.
func TestRuleSustained(t *testing.T) {
	fast, slow := sustained(t, func(in time.Duration, k int) time.Duration {
		if in > 29*time.Second {
			return 13 * time.Millisecond
		}
		return 10 * time.Millisecond
	})
	s, ok := fast.Sustained()
	flop := fast.GEMM.FLOP()
	if !ok || s.Burst != flop/0.01 || math.Abs(s.Steady.Value-flop/0.013) > 1 || math.Abs(s.Fall-(1-10.0/13)) > 1e-9 || !s.Throttled() {
		t.Errorf("%+v, %v", s, ok)
	}
	if s.To-s.From < 29*time.Second || s.To-s.From > 32*time.Second {
		t.Errorf("the second half takes %s", s.To-s.From)
	}
	if speed, _ := fast.Speed(); math.Abs(speed.Value-flop/0.01) > 1 {
		t.Errorf("the lane's own figure is %v", speed)
	}
	if _, ok := slow.Sustained(); ok || slow.Block != nil {
		t.Error("the slower lane of its kind sustained something")
	}
}

// Noise is no throttling, and shows no fall on average: the fastest of many samples are
// faster than the fastest of few.
func TestRuleNoiseIsNoFall(t *testing.T) {
	const seeds = 200
	sum, throttled := 0.0, 0
	for seed := range uint64(seeds) {
		random := rand.New(rand.NewPCG(seed, 0))
		x := &bench.Result{GEMM: small, Block: &bench.Block{Pause: time.Second}}
		for at := time.Duration(0); at < time.Minute; {
			took := 100*time.Millisecond + time.Duration(random.Int64N(int64(20*time.Millisecond))) // up to 20 %
			x.Block.Samples = append(x.Block.Samples, bench.Sample{Iters: 1, Wall: took, Start: at, End: at + took})
			at += took
		}
		s, ok := x.Sustained()
		if !ok {
			t.Fatal("nothing is sustained")
		}
		sum += s.Fall
		if s.Throttled() {
			throttled++
		}
	}
	if mean := sum / seeds; math.Abs(mean) > 0.01 || throttled > 2 {
		t.Errorf("a fall of %.1f %% on average, %d of %d throttled", 100*mean, throttled, seeds)
	}
}

// Who interrupts a block keeps what there is of it, and all samples.
func TestBlockInterrupted(t *testing.T) {
	r := newRig(gpu("a", time.Millisecond))
	r.Sensors = sensing(2 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocks := false
	r.lanes[0].Engine = recorder{fake.New("fake", r.clock, nil, func() fake.Device {
		d := gpu("a", time.Millisecond)
		n := 0
		d.Hook = func(context.Context, fake.Stage, int) error {
			if blocks {
				if n++; n == 4 {
					cancel()
				}
			}
			return nil
		}
		return d
	}()), r}
	r.told = func(_ string, d event.Data) {
		blocks = blocks || d == event.Phase{Phase: string(bench.InBlock)}
	}
	x := r.Race(ctx, r.lanes, 1, budget)[0]
	if x.Error != nil || len(x.Samples) < 10 || x.Block == nil || len(x.Block.Samples) != 3 || !x.Has(measure.Interrupted) {
		t.Errorf("error %v, %d samples, block %+v, %s", x.Error, len(x.Samples), x.Block, codes(x))
	}
}
