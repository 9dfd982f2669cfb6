package report

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/topology"
)

// cpus are made up, as the results above.
func cpus() map[string]*CPU {
	d := document()
	series := func(x float64) []float64 { return []float64{x, 0.99 * x, 0.97 * x} }
	whole := &CPU{
		Schema: CPUSchema, Created: d.Created, Program: d.Program, Command: []string{"gpuplay", "cpu"}, Machine: d.Machine,
		Kernels: "AVX2", Elapsed: 2340 * time.Millisecond, Others: ptr(0.4),
		Topology: topology.Topology{Kinds: []topology.Kind{{CPUs: 16, Caches: []topology.Cache{
			{Level: 1, Size: 48 << 10, Line: ptr(64), Ways: ptr(12), Shared: ptr(1)}, {Level: 2, Size: 1280 << 10}, {Level: 3, Size: 24 << 20, Shared: ptr(16)},
		}}}},
		Instructions: []Instruction{{"AVX2 with FMA", true, true}, {"AVX-VNNI", true, false}, {"AVX-512", false, true}},
	}
	for _, n := range []int{1, 16} {
		whole.Clocks = append(whole.Clocks, Clock{n, series(4.5e9 / float64(1+n/16))})
		whole.Peaks = append(whole.Peaks, Peak{matrix.Float32, n, series(140e9 * float64(n))}, Peak{matrix.Int8, n, series(280e9 * float64(n))})
		for i, p := range []string{"L1", "L2", "L3", "memory"} {
			whole.Bandwidths = append(whole.Bandwidths, Bandwidth{p, 1 << (14 + 4*i), n, series(200e9 * float64(n) / float64(i+1)), series(250e9 * float64(n) / float64(i+1))})
		}
	}
	part := *whole
	part.Others, part.Interrupted = ptr(0.01), true
	part.Clocks, part.Peaks, part.Bandwidths = part.Clocks[:1], nil, nil
	nothing := part
	nothing.Clocks, nothing.Instructions, nothing.Others = nil, nil, nil
	return map[string]*CPU{"whole": whole, "interrupted": &part, "nothing": &nothing}
}

func TestCPU(t *testing.T) {
	for name, c := range cpus() {
		for _, width := range []int{80, 60} {
			var b bytes.Buffer
			if err := CPUTable(&b, c, Style{Width: width, Unicode: width == 80}); err != nil {
				t.Fatal(err)
			}
			golden(t, fmt.Sprintf("cpu.%s.%d.txt", name, width), b.Bytes())
		}
		var text, rows bytes.Buffer
		if err := CPUJSON(&text, c); err != nil {
			t.Fatal(err)
		}
		validate(t, "cpu", text.Bytes())
		if err := CPUCSV(&rows, c); err != nil {
			t.Fatal(err)
		}
		golden(t, "cpu."+name+".csv", rows.Bytes())
	}
}
