package race

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/telemetry"
	"github.com/gpuplay/gpuplay/internal/worker"
)

// A machine is engines that a test scripts, with what each takes to start.
type machine struct {
	clock   fake.Clock
	engines []scripted
	sensors []telemetry.Source // none: nothing is read
}

type scripted struct {
	name    string
	start   time.Duration
	devices []fake.Device
}

// h200s is a machine with 64 cores and a number of H200s, with the speeds and the times
// that were measured on one. Products of any size take some milliseconds more on a CPU
// with 64 threads, and the first product on a GPU loads a library. A machine that is
// slower by a factor has smaller products, which take as long and cost the test less.
func h200s(gpus int, slower float64) *machine {
	matrices := math.Pow(slower, 2./3) // their elements shrink by this factor
	scaled := func(d time.Duration) time.Duration { return time.Duration(matrices * float64(d)) }
	cpu := func(id string, speed float64, fill time.Duration) fake.Device {
		d := fake.NewDevice(id, hardware.CPU, 1)
		d.API, d.Library = id, "Library"
		d.Time = func(g bench.GEMM, run int) time.Duration {
			return fake.Speed(speed/slower)(g, run) + 2*time.Millisecond
		}
		d.FillTime, d.CheckTime = scaled(fill), scaled(100*time.Microsecond)
		return d
	}
	cuda := func(speed float64, fill time.Duration) []fake.Device {
		var list []fake.Device
		for i := range gpus {
			uuid := fmt.Sprintf("GPU-0000000%d-0000-0000-0000-000000000000", i)
			d := fake.NewDevice("cuda:"+uuid, hardware.GPU, 1)
			d.Name, d.API, d.Library, d.Index, d.UUID, d.PCI = "NVIDIA H200", "cuda", "Library", &i, uuid, fmt.Sprintf("0000:0%d:00.0", i+1)
			loaded := false
			d.Time = func(g bench.GEMM, run int) time.Duration {
				took := fake.Speed(speed/slower)(g, run)
				if !loaded {
					took += time.Second
				}
				loaded = true
				return took
			}
			d.FillTime, d.CheckTime = scaled(fill), scaled(100*time.Microsecond)
			list = append(list, d)
		}
		return list
	}
	const ms = time.Millisecond
	return &machine{engines: []scripted{
		{"gocpu", 170 * ms, []fake.Device{cpu("cpu", 2.28e12, 100*time.Microsecond)}},
		{"blas", 150 * ms, []fake.Device{cpu("openblas", 1.55e12, 100*time.Microsecond)}},
		{"torch", 5200 * ms, append([]fake.Device{cpu("cpu", 2.78e12, ms)}, cuda(50.4e12, ms)...)},
		{"jax", 13700 * ms, append([]fake.Device{cpu("cpu", 2.52e12, 2*ms)}, cuda(49.7e12, 2*ms)...)},
	}}
}

// race runs one on the machine.
func (m *machine) race(t *testing.T, o Options) (*record.Run, *labtest.Watch) {
	t.Helper()
	entries, err := catalog.Select(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := labtest.New(&m.clock)
	d := lab.Deps{Program: record.Program{Version: "1"}}
	if m.sensors != nil {
		d.Sources = func([]hardware.Card) []telemetry.Source { return m.sensors }
	}
	r := d.Begin(t.Context(), w.Stream, record.Race)
	r.Cards = nil // of the machine that the test runs on
	if m.sensors != nil {
		synctest.Wait() // until they are open
	}
	var found []catalog.Contender
	engines := map[string]bench.Engine{}
	r, err = run(t.Context(), d, o, w.Stream, r, entries, func(_ context.Context, list []catalog.Entry) entered {
		slowest := time.Duration(0)
		for _, e := range m.engines {
			i := slices.IndexFunc(list, func(entry catalog.Entry) bool { return entry.Name == e.name })
			if i < 0 {
				continue
			}
			engines[e.name] = fake.New(e.name, &m.clock, nil, e.devices...)
			inventory, _ := engines[e.name].Devices(t.Context())
			found = append(found, catalog.Contender{Entry: list[i], Client: &worker.Client{Engine: e.name}, Found: inventory, Start: e.start})
			slowest = max(slowest, e.start)
		}
		m.clock.Advance(slowest) // side by side
		r.Cards = catalog.Cards(nil, found)
		lanes, leftOut := lab.Racing(found, o.AllGPUs)
		for i := range lanes {
			lanes[i].Engine = engines[lanes[i].Engine.Name()]
		}
		return entered{lanes: lanes, leftOut: leftOut}
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// leftOut returns what a run has left out for a reason: "torch/0".
func leftOut(r *record.Run, why record.Why) []string {
	var list []string
	for _, x := range r.LeftOut {
		if x.Why == why {
			card := "cpu"
			if x.Device.Card != nil {
				card = fmt.Sprint(*x.Device.Card)
			}
			list = append(list, x.Engine+"/"+card)
		}
	}
	return list
}

// On a machine with four H200s a race has a size that keeps a GPU busy, one row for
// equal cards, and ends within the time that was asked for.
func TestFourH200(t *testing.T) {
	const budget = 10 * time.Second
	m := h200s(4, 1)
	r, w := m.race(t, Options{Settings: lab.Settings{Budget: budget, Seed: 1}, DType: matrix.Float32, Preliminary: true})
	labtest.Agrees(t, w.Events(), r)
	places := map[string]bool{}
	for _, x := range r.Results {
		if x.GEMM.N < 4096 || len(x.Samples) < 6 || !x.Verified() {
			t.Errorf("%s: %d samples of %d³, error %v, warnings %v", x.Lane, len(x.Samples), x.GEMM.N, x.Error, x.Warnings)
		}
		if x.Device.Kind == hardware.GPU {
			places[judge.Place(r, x.Device)] = true
		}
	}
	if want := "NVIDIA H200 (GPU 0 of 4 equal)"; len(places) != 1 || !places[want] {
		t.Errorf("the GPUs are %v, want %s", places, want)
	}
	if got, want := leftOut(r, record.EqualCard), []string{"torch/1", "torch/2", "torch/3", "jax/1", "jax/2", "jax/3"}; !slices.Equal(got, want) {
		t.Errorf("for equal cards %v were left out, want %v", got, want)
	}
	if n := len(r.Results) + len(leftOut(r, record.NoTime)); n != 6 {
		t.Errorf("%d lanes were measured or left out, want 6", n)
	}
	said := judge.Sentences(r)
	if len(said) == 0 || !strings.HasPrefix(said[0], "GPU 0 is 18") {
		t.Errorf("it says %q", said)
	}
	if limit := 2*budget + 13700*time.Millisecond; r.Elapsed > limit || r.Budget != budget {
		t.Errorf("it took %v of at most %v (%v were asked for)", r.Elapsed, limit, r.Budget)
	}
}

// The time that is asked for holds, whatever it is and however many lanes there are;
// with enough of it all of them are measured, with the same size.
func TestTimeHolds(t *testing.T) {
	sizes := map[time.Duration]int{}
	for _, budget := range []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 90 * time.Second} {
		for _, all := range []bool{false, true} {
			m := h200s(4, 16)
			r, _ := m.race(t, Options{Settings: lab.Settings{Budget: budget, Seed: 1}, DType: matrix.Float32, AllGPUs: all})
			if limit := 2*budget + 13700*time.Millisecond; r.Elapsed > limit {
				t.Errorf("%v, all %t: it took %v of at most %v", budget, all, r.Elapsed, limit)
			}
			kinds := map[hardware.Kind]int{}
			size := 0
			for _, x := range r.Results {
				kinds[x.Device.Kind]++
				size = max(size, x.GEMM.N)
				if len(x.Samples) < 6 || !x.Verified() {
					t.Errorf("%v, all %t: %s has %d samples, warnings %v", budget, all, x.Lane, len(x.Samples), x.Warnings)
				}
			}
			if kinds[hardware.CPU] == 0 || kinds[hardware.GPU] == 0 || budget >= 10*time.Second && size < 2048 {
				t.Errorf("%v, all %t: %v at %d³", budget, all, kinds, size)
			}
			if n := sizes[budget]; n > 0 && n != size {
				t.Errorf("%v: %d³ with equal GPUs as lanes, %d³ without", budget, size, n)
			}
			sizes[budget] = size
			if short := leftOut(r, record.NoTime); len(short) > 0 && budget > time.Minute {
				t.Errorf("%v, all %t: %v were left out", budget, all, short)
			}
			t.Logf("%v, all %t: %v at %d³ in %v, left out %v", budget, all, kinds, size, r.Elapsed, leftOut(r, record.NoTime))
		}
	}
}

// A size that was asked for is never changed; lanes are left out then.
func TestTimeHoldsAtAnAskedSize(t *testing.T) {
	const budget = 10 * time.Second
	m := h200s(4, 16)
	r, _ := m.race(t, Options{Settings: lab.Settings{Budget: budget, Seed: 1}, Size: 1536, DType: matrix.Float32, AllGPUs: true})
	if limit := 2*budget + 13700*time.Millisecond; r.Elapsed > limit || len(r.Results) < 3 {
		t.Errorf("%d lanes in %v of at most %v", len(r.Results), r.Elapsed, limit)
	}
	for _, x := range r.Results {
		if x.GEMM.N != 1536 || len(x.Samples) < 6 || !x.Verified() {
			t.Errorf("%s: %d samples of %d³, warnings %v", x.Lane, len(x.Samples), x.GEMM.N, x.Warnings)
		}
	}
}
