package race

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// compare runs a comparison of inputs on the rig's devices.
func (g *rig) compare(t *testing.T, o InputsOptions) (*record.Run, *labtest.Watch, error) {
	t.Helper()
	w := labtest.New(&g.clock)
	d := lab.Deps{Program: record.Program{Version: "1"}}
	lanes := g.lanes("torch", append(slices.Clone(g.quick), g.slow...))
	lab.LaneIDs(lanes)
	r, err := inputs(t.Context(), d, o, w.Stream, d.Begin(t.Context(), w.Stream, record.Inputs), lanes)
	return r, w, err
}

// The fastest lane that computes right has inputs of every kind, in turns that are long.
func TestInputs(t *testing.T) {
	wrong := fake.NewDevice("wrong", hardware.GPU, 1e15)
	wrong.Wrong = &fake.Wrong{Add: 1e6}
	g := &rig{quick: []fake.Device{fake.NewDevice("cpu", hardware.CPU, 1e10)}, slow: []fake.Device{wrong, fake.NewDevice("gpu", hardware.GPU, 1e12), fake.NewDevice("pretence", hardware.SoftwareGPU, 1e13)}}
	r, w, err := g.compare(t, InputsOptions{Settings: lab.Settings{Budget: time.Minute, Seed: 1}, Size: 512, DType: matrix.Float32})
	if err != nil {
		t.Fatal(err)
	}
	labtest.Agrees(t, w.Events(), r)
	var kinds []matrix.Data
	for _, x := range r.Results {
		kinds = append(kinds, x.GEMM.Data)
		if x.Device.ID != "gpu" || !x.Verified() || x.GEMM.N != 512 || len(x.Samples) < 10 {
			t.Errorf("%s: %d samples of %d³, verified %t, %v", x.Lane, len(x.Samples), x.GEMM.N, x.Verified(), x.Error)
		}
		if want := "#" + x.GEMM.Data.String(); x.GEMM.Data != matrix.Random && !strings.HasSuffix(x.Lane, want) {
			t.Errorf("the lane of %s is %s", x.GEMM.Data, x.Lane)
		}
		for _, s := range x.Samples {
			if s.Wall < 500*time.Millisecond || s.Wall > 2*time.Second {
				t.Errorf("%s: a sample of %s", x.Lane, s.Wall)
			}
		}
	}
	if !slices.Equal(kinds, matrix.Kinds) {
		t.Errorf("measured on %v", kinds)
	}
}

// Without a size it is one that keeps the device busy and fits into its memory five times.
func TestInputsChooseASize(t *testing.T) {
	for memory, want := range map[int64]int{1 << 40: 768, 1 << 26: 384} {
		d := fake.NewDevice("gpu", hardware.GPU, 1e10)
		d.Memory = &memory
		g := &rig{quick: []fake.Device{d}}
		r, _, err := g.compare(t, InputsOptions{Settings: lab.Settings{Repeat: 1, Budget: time.Minute}, DType: matrix.Float32})
		if err != nil {
			t.Fatal(err)
		}
		if n := r.Results[0].GEMM.N; n != want {
			t.Errorf("with %d bytes: %d³", memory, n)
		}
	}
}

func TestInputsWithoutALane(t *testing.T) {
	g := &rig{}
	if _, _, err := g.compare(t, InputsOptions{Settings: lab.Settings{Budget: time.Second}, DType: matrix.Float32}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("error %v", err)
	}
}
