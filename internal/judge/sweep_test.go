package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/record/recordtest"
)

// A lane's name is as short as tells it from the others.
func TestSweepNames(t *testing.T) {
	one := func(library, api, id string, card int) hardware.Device {
		d := hardware.Device{Library: library, API: api, ID: id}
		if card >= 0 {
			d.Card = &card
		}
		return d
	}
	indexed := func(i int) hardware.Device { // of a card that is not known
		d := one("PyTorch", "cuda", fmt.Sprint("cuda:GPU-5d4bf5a4-", i), -1)
		d.Index = &i
		return d
	}
	for _, tt := range []struct {
		devices []hardware.Device
		want    []string
	}{
		{[]hardware.Device{one("MKL", "mkl", "mkl:a", -1), one("PyTorch", "cpu", "cpu", -1), one("PyTorch", "cuda", "cuda:a", 1), one("PyTorch", "cuda", "cuda:b", 3)},
			[]string{"MKL", "PyTorch cpu", "PyTorch GPU 1", "PyTorch GPU 3"}},
		{[]hardware.Device{one("PyTorch", "cuda", "cuda:a", -1), one("PyTorch", "cuda", "cuda:b", -1)}, []string{"PyTorch cuda:a", "PyTorch cuda:b"}},
		{[]hardware.Device{indexed(0), indexed(1)}, []string{"PyTorch cuda:0", "PyTorch cuda:1"}},
		{[]hardware.Device{one("PyTorch", "cuda", "cuda:a", 0), one("PyTorch", "cpu", "cpu", -1)}, []string{"PyTorch cuda", "PyTorch cpu"}},
		{[]hardware.Device{one("PyTorch", "cuda", "cuda:a", 0)}, []string{"PyTorch"}},
		{[]hardware.Device{one("x", "y", "z", -1), one("x", "y", "z", -1)}, []string{"x z", "x z"}}, // nothing tells them apart
	} {
		var lanes []SweepLane
		for _, d := range tt.devices {
			lanes = append(lanes, SweepLane{Device: d})
		}
		name(lanes)
		var got []string
		for _, l := range lanes {
			got = append(got, l.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestNewSweep(t *testing.T) {
	s := NewSweep(recordtest.Sweeps()["sweep"])
	var peers, fastest []int
	var sizes []string
	for _, p := range s.Points {
		sizes, peers, fastest = append(sizes, p.Cube()), append(peers, p.Peer), append(fastest, p.Fastest())
		if len(p.Results) != 3 {
			t.Errorf("%s: %d lanes", p.Cube(), len(p.Results))
		}
	}
	if d := cmp.Diff([]string{"16³", "64³", "256³", "1000³", "4096³", "5×4096×4096"}, sizes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{1, 1, 1, 1, 1, 2}, peers); d != "" { // OpenBLAS was wrong at the last
		t.Errorf("peers: %s", d)
	}
	if d := cmp.Diff([]int{0, 1, 1, 0, 1, 0}, fastest); d != "" {
		t.Errorf("fastest: %s", d)
	}
	if s.Peak() != 112e9 {
		t.Errorf("peak %g", s.Peak())
	}
	// A lane that a size lacks leaves a gap.
	r := sweep(pair(64, 2e12), pair(512, 2e12)[1:])
	s = NewSweep(r)
	if p := s.Points[1]; p.Results[0] != nil || p.Results[1] == nil || p.Peer != -1 {
		t.Errorf("a size without the first lane: %+v", p)
	}
	// A first lane that is not verified has no ratio.
	s = NewSweep(sweep([]*bench.Result{result(torchCPU, 1e12, recordtest.Doubtful(true)), result(torchGPU, 2e12)}))
	if p := s.Points[0]; p.Peer != -1 || p.Fastest() != 1 {
		t.Errorf("a first lane that is not verified: peer %d, fastest %d", p.Peer, p.Fastest())
	}
	if s := NewSweep(sweep()); len(s.Lanes) != 0 || len(s.Points) != 0 {
		t.Errorf("nothing: %+v", s)
	}
}

// The first lane is compared with lanes of its kind, and the fastest GPU with the fastest
// CPU.
func TestSweepComparesKinds(t *testing.T) {
	s := NewSweep(recordtest.Sweeps()["mixed"])
	for i, want := range []struct{ peer, cpu, gpu int }{{1, 0, 4}, {1, 0, 4}, {2, 2, 4}} {
		p := s.Points[i]
		if p.Peer != want.peer || p.CPU != want.cpu || p.GPU != want.gpu {
			t.Errorf("%s: peer %d, CPU %d, GPU %d, want %+v", p.Cube(), p.Peer, p.CPU, p.GPU, want)
		}
		if got, want := p.Gain.Ratio.Value, Speed(p.Results[p.GPU])/Speed(p.Results[p.CPU]); math.Abs(got/want-1) > 0.01 {
			t.Errorf("%s: GPU ÷ CPU is %g, want %g", p.Cube(), got, want)
		}
	}
	want := "gpuplay against the best of the other CPU lanes: faster at 2, slower at 1 of 3 sizes; least at 4096³: 0.85× PyTorch cpu (±0.0 %)."
	if got := s.Sentences()[0]; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// With no other lane of its kind it has no peer.
	s = NewSweep(recordtest.Sweeps()["crossing"])
	for _, p := range s.Points {
		if p.Peer != -1 || p.CPU != 0 || p.GPU != 1 {
			t.Errorf("%s: %+v", p.Cube(), p)
		}
	}
	// What is not verified is in neither comparison.
	s = NewSweep(sweep(pair(64, 2e12, recordtest.Doubtful(true))))
	if p := s.Points[0]; p.CPU != -1 || p.GPU != -1 {
		t.Errorf("not verified: %+v", p)
	}
}

func TestSweepNotes(t *testing.T) {
	got := strings.Join(NewSweep(recordtest.Sweeps()["slow"]).Notes(recordtest.Flags{}), "\n")
	if want := "gpuplay: left out: one product would take about 4.2 min (--time allows more time) (at 8192³)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var points [][]*bench.Result
	for _, n := range []int{16, 32, 64, 128, 256, 512} {
		points = append(points, pair(n, 2e12, recordtest.Doubtful(n > 16)))
	}
	got = strings.Join(NewSweep(sweep(points...)).Notes(nil), "\n")
	if want := "PyTorch cuda: faster than this device can be: not believed (at 5 sizes)\n*: not verified, and in no ratio"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = strings.Join(NewSweep(sweep(points[1:]...)).Notes(nil), "\n")
	if want := "PyTorch cuda: faster than this device can be: not believed\n*: not verified, and in no ratio"; got != want {
		t.Errorf("at all sizes: %q, want %q", got, want)
	}
}

func TestLegend(t *testing.T) {
	got := strings.Join(NewSweep(recordtest.Sweeps()["several"]).Legend(), "\n")
	want := `PyTorch GPU 3: PyTorch 2.15 cuda, eager, on Example GPU X, GPU 3 (cuda:1 is GPU 3)
PyTorch GPU 1: PyTorch 2.15 cuda, eager, on Example GPU X, GPU 1 (cuda:0 is GPU 1)
gpuplay (built in, AVX-512), 16 threads`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	r := recordtest.Sweeps()["several"]
	first, other := r.Results[0].Device, r.Results[0].Device
	number := 5
	other.Card = &number
	r.LeftOut = []record.LeftOut{{Engine: "torch", Device: other, Why: record.EqualCard, Instead: first.Card}}
	if got, want := NewSweep(r).Legend()[0], "PyTorch GPU 3: PyTorch 2.15 cuda, eager, on Example GPU X (GPU 3 of 2 equal) (cuda:1 is GPU 3)"; got != want {
		t.Errorf("where one stands for another: %q, want %q", got, want)
	}
}

func TestFigure(t *testing.T) {
	for want, r := range map[string]*bench.Result{
		"–":     nil,
		"wrong": result(torchCPU, 1e12, failing(fault.Wrong, "")),
		"none":  result(torchCPU, 1e12, failing(fault.Crashed, "")),
		"1000":  result(torchCPU, 1e12),
		"1000*": result(torchCPU, 1e12, recordtest.Doubtful(true)),
	} {
		if got := Figure(r, 1e9); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := Figure(result(torchCPU, 1e12, failing(fault.Unsupported, "")), 1e9); got != "–" {
		t.Errorf("of a type that there is no code for: %q", got)
	}
}
