package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// The tests start this binary with a library in the place of NVML: a library is never
// unloaded.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "nvml" {
		answer := map[string]func() any{"rounds": threeRounds, "hang": hang}[os.Args[2]]
		if err := json.NewEncoder(os.Stdout).Encode(answer()); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rounds are what a source said.
type rounds struct {
	Error  string
	Cards  []hardware.Card
	Limits map[string]float64  // of power, by the GPU
	Values map[string][]string // by the sensor
	Most   map[string]float64  // by the sensor of GPU-a
	Listed []string            // the processes in the end, and what they use
}

func threeRounds() any {
	var out rounds
	src := NVML()
	found, err := src.Open()
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Values, out.Limits = map[string][]string{}, map[string]float64{}
	for _, x := range found.Sensors {
		if !slices.Contains(out.Cards, *x.GPU) {
			out.Cards = append(out.Cards, *x.GPU)
		}
		if x.Max != nil && x.Quantity == event.Power {
			out.Limits[x.GPU.UUID] = *x.Max
		}
	}
	out.Most = map[string]float64{}
	for _, x := range found.Sensors {
		if x.Max != nil && x.GPU.UUID == "GPU-a" {
			out.Most[string(x.Quantity)] = *x.Max
		}
	}
	values := make([]float64, len(found.Sensors))
	read := make([]float64, len(values))
	for round := range 21 { // each sensor is read once in ten of them at least
		src.Read(values)
		for i, x := range found.Sensors {
			if round%10 == 1 || x.Quantity == event.Energy || !x.Quantity.Counts() || !math.IsNaN(values[i]) {
				read[i] = values[i]
			}
			if round%10 == 0 {
				key := x.GPU.UUID + " " + string(x.Quantity)
				out.Values[key] = append(out.Values[key], fmt.Sprint(read[i]))
			}
		}
	}
	number := func(x *float64) string {
		if x == nil {
			return "-"
		}
		return fmt.Sprintf("%.4g", *x)
	}
	for range 2 { // the second time, there is no sample of their use that is new
		for _, p := range found.Processes() {
			out.Listed = append(out.Listed, fmt.Sprintf("%s %d %s %s", p.GPU.UUID, p.PID, number(p.Busy), number(p.Memory)))
		}
	}
	return out
}

// hang samples NVML for longer than a round may take, and ends with its thread still in
// the library.
func hang() any {
	var notes []string
	s := event.NewStream("r1", nil)
	s.Subscribe(func(e event.Event) {
		if n, ok := e.Data.(event.Note); ok {
			notes = append(notes, n.Text)
		}
	})
	sampler := Start(s, nil, NVML())
	time.Sleep(readLimit + time.Second)
	sampler.Stop(nil)
	s.Close()
	return notes
}

// with runs this binary with a library in the place of NVML.
func with(t *testing.T, name, what string, answer any) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the library is found by Linux's LD_LIBRARY_PATH")
	}
	library := enginetest.SharedLibrary(t, filepath.Join("testdata", "nvml.c"), "libnvidia-ml.so.1", "-DCASE="+name)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "nvml", what)
	cmd.Env = append(cmd.Environ(), "LD_LIBRARY_PATH="+filepath.Dir(library))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, answer); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// NVML's calls and structures, with a library that has those of nvml.h. What a GPU does
// not answer is no sensor of it, and what it does not answer any more is not a number.
func TestNVML(t *testing.T) {
	three := func(v string) []string { return []string{v, v, v} }
	good := map[string][]string{
		"GPU-a energy": three("1.23456789012e+08"), "GPU-a power": three("70.123"), "GPU-a utilization": three("0"),
		"GPU-a memory": three("5.36870912e+08"), "GPU-a clock": three("3.45e+08"), "GPU-a memory_clock": three("2.619e+09"),
		"GPU-a temperature": three("35"), "GPU-a throttle": three("8"), "GPU-a processes": three("2"),
		"GPU-a pcie_sent": three("4000"), "GPU-a pcie_received": three("7e+09"), "GPU-a nvlink_sent": three("5.12e+12"),
	}
	both := func(first map[string][]string) map[string][]string {
		all := maps.Clone(first)
		for k, v := range good {
			if _, there := first[k]; there && k != "GPU-a utilization" {
				all["GPU-b"+strings.TrimPrefix(k, "GPU-a")] = v
			}
		}
		if _, there := first["GPU-a processes"]; there {
			all["GPU-b processes"] = three("70")
		}
		return all
	}
	old := map[string][]string{
		"GPU-a power": three("70.123"), "GPU-a utilization": three("0"), "GPU-a memory": three("1.073741824e+09"),
		"GPU-a clock": three("3.45e+08"), "GPU-a memory_clock": three("2.619e+09"), "GPU-a temperature": three("36"), "GPU-a throttle": three("3"),
	}
	oldBoth := both(old)
	oldBoth["GPU-b memory"] = old["GPU-a memory"]
	oldBoth["GPU-b temperature"], oldBoth["GPU-b throttle"] = three("36"), three("3")
	lost := both(good)
	for k, v := range good {
		lost[k] = []string{v[0], "NaN", "NaN"}
	}
	cards := []hardware.Card{
		{Name: "NVIDIA H100 80GB HBM3", UUID: "GPU-a", PCI: "0000:19:00.0", Vendor: "NVIDIA"},
		{Name: "NVIDIA H100 80GB HBM3", UUID: "GPU-b", PCI: "0000:3b:00.0", Vendor: "NVIDIA"},
	}
	limits := map[string]float64{"GPU-a": 412.5, "GPU-b": 500}
	most := map[string]float64{"power": 412.5, "memory": 85520809984, "clock": 1980e6, "memory_clock": 2619e6}
	listed := []string{"GPU-a 1000 60 1.074e+09", "GPU-a 1001 - 1.074e+09", "GPU-a 1002 - -"} // 1001 computes and draws
	again := []string{"GPU-a 1000 - 1.074e+09", "GPU-a 1001 - 1.074e+09", "GPU-a 1002 - -"}
	var many []string
	for pid := 1000; pid < 1070; pid++ {
		many = append(many, fmt.Sprintf("GPU-b %d - 1.074e+09", pid))
	}
	for name, want := range map[string]rounds{
		"GOOD":       {Cards: cards, Limits: limits, Values: both(good), Most: most, Listed: slices.Concat(listed, many, again, many)},
		"OLD":        {Cards: cards, Limits: map[string]float64{}, Values: oldBoth, Most: map[string]float64{"memory": 85520809984}},
		"LOST":       {Cards: cards, Limits: limits, Values: lost, Most: most, Listed: slices.Concat(many, many)},
		"NOT_LOADED": {Error: "Driver Not Loaded"},
	} {
		t.Run(name, func(t *testing.T) {
			var got rounds
			with(t, name, "rounds", &got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A sensor is read as often as its period and the time between rounds allow. In the other
// rounds its value is repeated, but a counter, which would seem to stand still, has none.
func TestPeriods(t *testing.T) {
	for _, tt := range []struct {
		every    time.Duration
		watching bool
		want     string // in how many of 20 rounds each is read
	}{
		{interval, false, "energy 20, power 10, temperature 2, pcie_sent 2"},
		{interval, true, "energy 2, power 10, temperature 2, pcie_sent 2"},
		{500 * time.Millisecond, true, "energy 10, power 20, temperature 10, pcie_sent 10"},
		{time.Minute, true, "energy 20, power 20, temperature 20, pcie_sent 20"},
	} {
		n := &nvidia{every: tt.every, watching: tt.watching}
		var got []string
		for _, q := range []event.Quantity{event.Energy, event.Power, event.Temperature, event.PCIeSent} {
			calls := 0
			x := readable{event.Sensor{Quantity: q}, func() (float64, bool) { calls++; return float64(calls), true }}
			n.sensors, n.round = []paced{{readable: x, rounds: n.rounds(q)}}, 0
			values := []float64{0}
			for range 20 {
				before := calls
				n.Read(values)
				want := float64(calls)
				if calls == before && q.Counts() {
					want = math.NaN()
				}
				if fmt.Sprint(values[0]) != fmt.Sprint(want) {
					t.Errorf("every %s, %s: %v, want %v", tt.every, q, values[0], want)
				}
			}
			got = append(got, fmt.Sprintf("%s %d", q, calls))
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("every %s, watching %v: %s, want %s", tt.every, tt.watching, got, tt.want)
		}
	}
}

// A call that never comes back holds up neither the program nor its end.
func TestNVMLHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the limit of a round")
	}
	var notes []string
	with(t, "HANG", "hang", &notes)
	if want := []string{"NVML: no answer within 2 s (a round of readings): nothing more is read from it"}; !cmp.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
}

func TestThrottling(t *testing.T) {
	for reasons, want := range map[uint64]string{
		0: "", 0x1: "", 0x200: "", 0x400: "",
		0x2: "clock setting", 0x4: "power limit", 0x8: "hardware slowdown", 0x10: "clock setting",
		0x20: "heat", 0x40: "heat", 0x80: "power brake", 0x100: "clock setting", math.MaxUint64: "power limit, heat, power brake, hardware slowdown, clock setting",
	} {
		if got := strings.Join(throttling(reasons).Words(), ", "); got != want {
			t.Errorf("%#x: %q, want %q", reasons, got, want)
		}
	}
}

// BenchmarkNVML is what each call costs on this machine.
func BenchmarkNVML(b *testing.B) {
	src := &nvidia{every: interval}
	found, err := src.Open()
	if err != nil || len(found.Sensors) == 0 {
		b.Skip("nothing here:", err)
	}
	for i, x := range found.Sensors {
		b.Run(x.GPU.PCI+"/"+string(x.Quantity), func(b *testing.B) {
			for b.Loop() {
				src.sensors[i].read()
			}
		})
	}
}
