package gocpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/gemm"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

func newEngine(t testing.TB, opts Options) *Engine {
	t.Helper()
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

var cpu = hardware.Device{ID: deviceID}

// TestFill16 compares the short way to fill 16-bit matrices with the long one.
func TestFill16(t *testing.T) {
	for d, narrow := range map[matrix.DType]func([]uint16, []float32){matrix.Float16: gemm.NarrowFloat16, matrix.BFloat16: gemm.NarrowBFloat16} {
		got, want := make([]uint16, 100_001), make([]uint16, 100_001)
		matrix.NewStream(7, matrix.B, d).Fill16(want, 12345)
		s := bits16(d, narrow)
		s.fill(matrix.NewStream(7, matrix.B, s.stream), got, 12345)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the matrix is another", d)
		}
	}
}

func TestDevice(t *testing.T) {
	inventory, err := newEngine(t, Options{ISA: "portable"}).Devices(t.Context())
	if err != nil || len(inventory.Devices) != 1 {
		t.Fatalf("got %+v, %v", inventory, err)
	}
	d := inventory.Devices[0]
	if d.ID != "cpu" || d.API != "cpu" || d.Kind != hardware.CPU || d.Library != "gpuplay" || d.Version != "" || d.Detail != "built in, portable Go" || d.Name == "" {
		t.Errorf("got %+v", d)
	}
}

func TestFacts(t *testing.T) {
	for _, isa := range gemm.ISAs() {
		e := newEngine(t, Options{ISA: string(isa), Threads: 1})
		for d, note := range map[matrix.DType]string{matrix.Float32: "", matrix.Float16: "converted to float32 while packing"} {
			task, err := e.Prepare(t.Context(), cpu, bench.Square(3, d), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			facts := task.Facts()
			if facts.Threads != 1 || (facts.Peak != nil) != (isa != gemm.Portable) || strings.Join(facts.Notes, " ") != note {
				t.Errorf("%s %s: got %+v", string(isa), d, facts)
			}
		}
	}
}

// Each task has a peak of its own: one of minutes ago says nothing about today's
// clock. Measurements of the same nanosecond are as good as impossible.
func TestPeakIsMeasuredForEachTask(t *testing.T) {
	if gemm.ISAs()[0] == gemm.Portable {
		t.Skip("portable Go has no peak")
	}
	e := newEngine(t, Options{Threads: 1})
	seen := map[float64]bool{}
	const tasks = 6
	for range tasks {
		task, err := e.Prepare(t.Context(), cpu, bench.Square(3, matrix.Float32), 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[*task.Facts().Peak] = true
	}
	if len(seen) < tasks-1 {
		t.Errorf("%d peaks of %d tasks", len(seen), tasks)
	}
}

// Threads that wait for each other's CPU would each seem to reach one's peak.
func TestNoPeakOfMoreThreadsThanCPUs(t *testing.T) {
	e := newEngine(t, Options{Threads: runtime.NumCPU() + 1})
	task, err := e.Prepare(t.Context(), cpu, bench.Square(3, matrix.Float32), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if facts := task.Facts(); facts.Peak != nil || facts.Threads != runtime.NumCPU()+1 {
		t.Errorf("got %+v", facts)
	}
}

func TestPrepareErrors(t *testing.T) {
	e := newEngine(t, Options{Threads: 1})
	with := func(change func(*bench.GEMM)) bench.GEMM {
		g := bench.Square(4, matrix.Float32)
		change(&g)
		return g
	}
	for _, tt := range []struct {
		name   string
		device hardware.Device
		g      bench.GEMM
		want   fault.Code
	}{
		{"another device", hardware.Device{ID: "gpu"}, bench.Square(4, matrix.Float32), fault.Invalid},
		{"no rows", cpu, with(func(g *bench.GEMM) { g.M = 0 }), fault.Invalid},
		{"a negative k", cpu, with(func(g *bench.GEMM) { g.K = -1 }), fault.Invalid},
		{"tf32", cpu, bench.Square(4, matrix.TF32), fault.Unsupported},
		{"tf32 operands", cpu, with(func(g *bench.GEMM) { g.In = matrix.TF32 }), fault.Unsupported},
		{"an unknown type", cpu, with(func(g *bench.GEMM) { g.In = "int4" }), fault.Unsupported},
		{"another result", cpu, with(func(g *bench.GEMM) { g.Out = matrix.Float64 }), fault.Unsupported},
		{"int32 operands", cpu, with(func(g *bench.GEMM) { g.In, g.Acc, g.Out = matrix.Int32, matrix.Int32, matrix.Int32 }), fault.Unsupported},
		{"an int8 result", cpu, with(func(g *bench.GEMM) { g.In, g.Acc, g.Out = matrix.Int8, matrix.Int32, matrix.Int8 }), fault.Unsupported},
		{"float16 sums", cpu, with(func(g *bench.GEMM) { g.In, g.Acc, g.Out = matrix.Float16, matrix.Float16, matrix.Float16 }), fault.Unsupported},
		{"large", cpu, bench.Square(10_000_000, matrix.Float32), fault.OutOfMemory},
		{"past all integers", cpu, bench.Square(math.MaxInt, matrix.Float64), fault.OutOfMemory},
	} {
		task, err := e.Prepare(t.Context(), tt.device, tt.g, 1, nil)
		if !errors.Is(err, tt.want) || task != nil {
			t.Errorf("%s: got %v, %v, want %s", tt.name, task, err, tt.want)
		}
	}
	if err := check(bench.Square(1_000_000, matrix.Float32), 0); !errors.Is(err, fault.OutOfMemory) {
		t.Errorf("12 TB with unknown memory: got %v", err)
	}
	for _, opts := range []Options{{ISA: "mmx"}, {Threads: -1}} {
		if _, err := New(opts); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: got %v", opts, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Prepare(ended, cpu, bench.Square(4, matrix.Float32), 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: got %v", err)
	}
}

// A task outlives neither the engine's threads nor, silently, their end.
func TestClosedEngine(t *testing.T) {
	e := newEngine(t, Options{})
	task, err := e.Prepare(t.Context(), cpu, bench.Square(4, matrix.Float64), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	if _, err := task.Run(t.Context(), 1, 0); !errors.Is(err, fault.Invalid) {
		t.Errorf("run after the engine's close: got %v", err)
	}
}

// BenchmarkPrepare is mostly the filling of A and B.
func BenchmarkPrepare(b *testing.B) {
	e := newEngine(b, Options{})
	for _, d := range []matrix.DType{matrix.Float64, matrix.Float32, matrix.Float16, matrix.BFloat16, matrix.Int8} {
		b.Run(fmt.Sprintf("%s/8192", d), func(b *testing.B) {
			for b.Loop() {
				task, err := e.Prepare(b.Context(), cpu, bench.Square(8192, d), 1, nil)
				if err != nil {
					b.Fatal(err)
				}
				task.Close()
			}
		})
	}
}
