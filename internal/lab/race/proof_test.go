package race

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/engine/gocpu"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/measure"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/telemetry"
)

// shim is an engine that claims to compute on a GPU and computes on the CPU: as a
// framework with a silent fallback does.
type shim struct {
	bench.Engine
	cpu hardware.Device
}

func (shim) Name() string { return "torch" }

func (s shim) Prepare(ctx context.Context, _ hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	return s.Engine.Prepare(ctx, s.cpu, g, seed, tell)
}

// A lane that claims a GPU whose sensors do not move is shown as such, and enters no ratio.
// The products are real, and right; the GPU is a library in the place of NVML.
func TestRuleClaimsGPU(t *testing.T) {
	const child = "GPUPLAY_TEST_CLAIMS_GPU"
	if os.Getenv(child) != "" {
		claimsGPU(t)
		return
	}
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("races for some seconds, with a library that is found by Linux's LD_LIBRARY_PATH")
	}
	library := enginetest.SharedLibrary(t, filepath.Join("..", "..", "telemetry", "testdata", "nvml.c"), "libnvidia-ml.so.1")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRuleClaimsGPU$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1", "LD_LIBRARY_PATH="+filepath.Dir(library))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestRuleClaimsGPU") {
		t.Errorf("%v\n%s", err, out)
	}
}

func claimsGPU(t *testing.T) {
	engine, err := gocpu.New(gocpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	found, err := engine.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cpu := found.Devices[0]
	gpu := hardware.Device{ID: "cuda:0", Name: "NVIDIA H100 80GB HBM3", Kind: hardware.GPU, API: "cuda", Library: "PyTorch", PCI: "0000:19:00.0"}
	d := lab.Deps{Sources: func([]hardware.Card) []telemetry.Source { return []telemetry.Source{telemetry.NVML()} }}
	s := event.NewStream("r1", nil)
	defer s.Close()
	r := d.Begin(t.Context(), s, record.Race)
	r.Cards = hardware.Cards(nil, gpu)
	gpu.Card = hardware.CardOf(gpu, r.Cards)
	for d.Sensors().Block() == 0 && s.Now() < 10*time.Second { // the library is loaded beside all of this
		time.Sleep(time.Millisecond)
	}
	entries, err := catalog.Select([]string{"gocpu"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Settings: lab.Settings{Budget: 20 * time.Second, Seed: 1}, Size: 256, DType: matrix.Float32}
	r, err = run(t.Context(), d, o, s, r, entries, func(context.Context, []catalog.Entry) entered {
		lanes := []bench.Lane{{Engine: engine, Device: cpu}, {Engine: shim{engine, cpu}, Device: gpu}}
		lab.LaneIDs(lanes)
		return entered{lanes: lanes}
	})
	if err != nil {
		t.Fatal(err)
	}
	honest, claims := r.Results[0], r.Results[1]
	for _, x := range r.Results {
		if x.Error != nil || x.Check == nil || !x.Check.Passed || x.Block == nil {
			t.Fatalf("%s: error %v, check %+v, block %v", x.Lane, x.Error, x.Check, x.Block != nil)
		}
	}
	if !claims.Has(measure.NotOnGPU) || claims.Verified() || claims.Sensors.Proof() != measure.Unmoved {
		t.Errorf("the lane that claims a GPU: warnings %v, sensors %+v", claims.Warnings, claims.Sensors)
	}
	// Other programs may hide the CPU's peak from each of its measurements.
	if !honest.Verified() && !honest.Has(measure.AbovePeak) || honest.Has(measure.GPUInUse) {
		t.Errorf("the other one: warnings %v", honest.Warnings)
	}
	for _, c := range judge.Comparisons(r) {
		if len(c.Differs) == 0 || c.Differs[0] != "PyTorch is not shown to have run on the GPU" {
			t.Errorf("%s against %s: %q", c.Lane, c.Base, c.Differs)
		}
	}
	if said := judge.Sentences(r)[0]; said != "No comparison: no lane is shown to have run on the GPU." {
		t.Errorf("said %q", said)
	}
	if _, values, ok := r.Telemetry.Find(event.Utilization, claims.Device.Card); !ok || len(values) < 20 {
		t.Errorf("the record has %d readings of its card", len(values))
	}
}
