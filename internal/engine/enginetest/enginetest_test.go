package enginetest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/engine/fake"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

func honest() fake.Device {
	d := fake.NewDevice("gpu/0", hardware.GPU, 1e12)
	d.DeviceClock = true
	d.Tunings = 2
	d.CopyTime = time.Second
	return d
}

func TestFakeConforms(t *testing.T) {
	half := fake.NewDevice("cpu0", hardware.CPU, 1e10)
	half.DTypes = []matrix.DType{matrix.Float32, matrix.BFloat16}
	e := fake.New("fake", &fake.Clock{}, nil, honest(), half)
	Run(t, e, Want{DTypes: func(d hardware.Device) []matrix.DType {
		if d.Kind == hardware.GPU {
			return matrix.DTypes
		}
		return half.DTypes
	}})
}

// A mutant is an engine with something broken: functions that are set replace
// the real ones.
type mutant struct {
	bench.Engine
	devices func(hardware.Inventory) hardware.Inventory
	prepare func(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error)
	task    func(bench.Task, bench.GEMM) bench.Task
}

func (m *mutant) Devices(ctx context.Context) (hardware.Inventory, error) {
	found, err := m.Engine.Devices(ctx)
	if m.devices != nil {
		found = m.devices(found)
	}
	return found, err
}

func (m *mutant) Prepare(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
	prepare := m.Engine.Prepare
	if m.prepare != nil {
		prepare = m.prepare
	}
	task, err := prepare(ctx, d, g, seed, tell)
	if err == nil && m.task != nil {
		task = m.task(task, g)
	}
	return task, err
}

// A spoilt task.
type spoilt struct {
	bench.Task
	run    func(ctx context.Context, n, set int) (bench.Sample, error)
	mulVec func(ctx context.Context, x []float64) ([]float64, error)
	close  func() error
}

func (s spoilt) Run(ctx context.Context, n, set int) (bench.Sample, error) {
	if s.run != nil {
		return s.run(ctx, n, set)
	}
	return s.Task.Run(ctx, n, set)
}

func (s spoilt) MulVec(ctx context.Context, x []float64) ([]float64, error) {
	if s.mulVec != nil {
		return s.mulVec(ctx, x)
	}
	return s.Task.MulVec(ctx, x)
}

func (s spoilt) Close() error {
	if s.close != nil {
		return s.close()
	}
	return s.Task.Close()
}

var leak [][]byte

// The suite must see what it is there to see: every way to be wrong fails the
// check that is named.
func TestMutantsAreCaught(t *testing.T) {
	scripted := func(change func(d *fake.Device)) func(*mutant) {
		return func(m *mutant) {
			d := honest()
			change(&d)
			m.Engine = fake.New("fake", &fake.Clock{}, nil, d)
		}
	}
	// sample spoils what runs return, without the fake's own refusals.
	sample := func(change func(s *bench.Sample)) func(*mutant) {
		return func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) {
					s, err := task.Run(ctx, n, set)
					if err == nil {
						change(&s)
					}
					return s, err
				}}
			}
		}
	}
	// gemm spoils what is asked for.
	gemm := func(change func(g *bench.GEMM, seed *uint64, d *hardware.Device)) func(*mutant) {
		return func(m *mutant) {
			m.prepare = func(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
				change(&g, &seed, &d)
				return m.Engine.Prepare(ctx, d, g, seed, tell)
			}
		}
	}
	tests := []struct {
		name, check string
		mutate      func(*mutant)
	}{
		{"honest", "", func(*mutant) {}},
		{"one wrong element", "float32", scripted(func(d *fake.Device) { d.Wrong = &fake.Wrong{Row: 0, Col: 3, Add: 0.05} })},
		{"slightly wrong element", "float32", scripted(func(d *fake.Device) { d.Wrong = &fake.Wrong{Row: 2, Col: 4, Add: 3e-6} })},
		{"NaN", "float32", scripted(func(d *fake.Device) { d.Wrong = &fake.Wrong{Row: 256, Col: 2, Add: math.NaN()} })},
		{"tf32 posing as float32", "float32", scripted(func(d *fake.Device) { d.Operand = matrix.TF32 })},
		{"float32 posing as float64", "float64", scripted(func(d *fake.Device) { d.Acc = matrix.Float32 })},
		{"bfloat16 sums", "bfloat16", scripted(func(d *fake.Device) { d.Acc = matrix.BFloat16 })},
		{"float16 sums", "float16", scripted(func(d *fake.Device) { d.Acc = matrix.Float16 })},
		{"int8 with float16 sums", "int8", scripted(func(d *fake.Device) { d.Acc = matrix.Float16 })},
		{"int8 cut to bfloat16", "int8", scripted(func(d *fake.Device) { d.Operand = "bfloat16"; d.Acc = matrix.BFloat16 })},
		{"bfloat16 posing as tf32", "tf32", scripted(func(d *fake.Device) { d.Operand = matrix.BFloat16 })},
		{"claim that shrank", "float16", scripted(func(d *fake.Device) { d.DTypes = []matrix.DType{matrix.Float32} })},
		{"A never transposed", "float32", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.TransA = false })},
		{"B never transposed", "float32", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.TransB = false })},
		{"m and n swapped", "float32", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.M, g.N = g.N, g.M })},
		{"seed ignored", "seeds", gemm(func(_ *bench.GEMM, seed *uint64, _ *hardware.Device) { *seed = 1 })},
		{"random whatever the inputs", "float32", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.Data = matrix.Random })},
		{"uniform instead of normal", "float16", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) {
			if g.Data == matrix.Normal {
				g.Data = matrix.Random
			}
		})},
		{"takes any inputs", "refusals", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) {
			if !g.Data.Known() {
				g.Data = matrix.Random
			}
		})},
		{"seed cut to a float64", "seeds", gemm(func(_ *bench.GEMM, seed *uint64, _ *hardware.Device) { *seed = uint64(float64(*seed)) })},
		{"takes any device", "refusals", gemm(func(_ *bench.GEMM, _ *uint64, d *hardware.Device) { d.ID = "gpu/0" })},
		{"takes any dtype", "refusals", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.Acc, g.Out = g.In, g.In })},
		{"takes size 0", "refusals", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.K = max(g.K, 1) })},
		{"takes any size", "too big", gemm(func(g *bench.GEMM, _ *uint64, _ *hardware.Device) { g.M = min(g.M, 1<<10); g.N = g.M; g.K = g.M })},
		{"refuses for no reason", "refusals", func(m *mutant) {
			m.prepare = func(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
				task, err := m.Engine.Prepare(ctx, d, g, seed, tell)
				if err != nil {
					err = fmt.Errorf("something happened")
				}
				return task, err
			}
		}},
		{"wrong count", "run", sample(func(s *bench.Sample) { s.Iters++ })},
		{"no time", "run", sample(func(s *bench.Sample) { s.Wall = 0 })},
		{"device time beyond wall time", "run", sample(func(s *bench.Sample) { d := 2 * s.Wall; s.Device = &d })},
		{"device time of 0", "run", sample(func(s *bench.Sample) { d := time.Duration(0); s.Device = &d })},
		{"runs 0 products", "run", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) { return task.Run(ctx, max(n, 1), set) }}
			}
		}},
		{"reads beyond x", "mulvec", func(m *mutant) {
			m.task = func(task bench.Task, g bench.GEMM) bench.Task {
				return spoilt{Task: task, mulVec: func(ctx context.Context, x []float64) ([]float64, error) {
					return task.MulVec(ctx, append(x, make([]float64, g.N)...)[:g.N])
				}}
			}
		}},
		{"adds three products up", "mulvec", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				products := 0
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) {
					products = n
					return task.Run(ctx, n, set)
				}, mulVec: func(ctx context.Context, x []float64) ([]float64, error) {
					y, err := task.MulVec(ctx, x)
					for i := range y {
						y[i] *= float64(products)
					}
					return y, err
				}}
			}
		}},
		{"counts no variants", "tuning", func(m *mutant) {
			m.prepare = func(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
				return m.Engine.Prepare(ctx, d, g, seed, func(t bench.Tuning) { t.Done = 1; tell(t) })
			}
		}},
		{"tunes behind its back", "tuning", func(m *mutant) {
			m.prepare = func(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
				task, err := m.Engine.Prepare(ctx, d, g, seed, func(bench.Tuning) {})
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) {
					tell(bench.Tuning{Done: 1, Variant: "late"})
					return task.Run(ctx, n, set)
				}}, err
			}
		}},
		{"ends with Prepare's context", "prepared", func(m *mutant) {
			m.prepare = func(ctx context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
				task, err := m.Engine.Prepare(ctx, d, g, seed, tell)
				return spoilt{Task: task, run: func(_ context.Context, n, set int) (bench.Sample, error) { return task.Run(ctx, n, set) }}, err
			}
		}},
		{"prepares when cancelled", "cancel", func(m *mutant) {
			m.prepare = func(_ context.Context, d hardware.Device, g bench.GEMM, seed uint64, tell func(bench.Tuning)) (bench.Task, error) {
				return m.Engine.Prepare(context.Background(), d, g, seed, tell)
			}
		}},
		{"runs when cancelled", "cancel", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(_ context.Context, n, set int) (bench.Sample, error) {
					return task.Run(context.Background(), min(n, 1000), set)
				}}
			}
		}},
		{"looks at its context once", "cancel", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) { return task.Run(ctx, min(n, 1000), set) }}
			}
		}},
		{"calls a cancel internal", "cancel", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) {
					s, err := task.Run(ctx, n, set)
					if err != nil {
						err = &fault.Error{Code: fault.Internal, Message: err.Error()}
					}
					return s, err
				}}
			}
		}},
		{"second close fails", "close", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				closed := 0
				return spoilt{Task: task, close: func() error {
					if closed++; closed > 1 {
						return &fault.Error{Code: fault.Internal, Message: "closed already"}
					}
					return task.Close()
				}}
			}
		}},
		{"never closed", "close", func(m *mutant) {
			m.task = func(task bench.Task, _ bench.GEMM) bench.Task {
				return spoilt{Task: task, close: func() error { return nil }}
			}
		}},
		{"leaks", "memory", func(m *mutant) {
			m.task = func(task bench.Task, g bench.GEMM) bench.Task {
				leak = append(leak, make([]byte, int(g.Bytes())))
				return task
			}
		}},
		{"one C for all tasks", "two tasks", func(m *mutant) {
			var latest bench.Task
			m.task = func(task bench.Task, g bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) {
					latest = task
					return task.Run(ctx, n, set)
				}, mulVec: func(ctx context.Context, x []float64) ([]float64, error) { return latest.MulVec(ctx, x) }}
			}
		}},
		{"breaks on Sum", "sum", func(m *mutant) {
			m.task = func(task bench.Task, g bench.GEMM) bench.Task {
				return spoilt{Task: task, run: func(ctx context.Context, n, set int) (bench.Sample, error) {
					if g.Sum {
						return bench.Sample{}, &fault.Error{Code: fault.Internal, Message: "no such attribute: item"}
					}
					return task.Run(ctx, n, set)
				}}
			}
		}},
		{"loses what it copies", "round trip", scripted(func(d *fake.Device) { d.LosesCopies = true })},
		{"copies in no time", "round trip", scripted(func(d *fake.Device) { d.CopyTime = 1 })},
		{"device IDs change", "devices", func(m *mutant) {
			n := 0
			m.devices = func(found hardware.Inventory) hardware.Inventory {
				n++
				found.Devices[0].ID += fmt.Sprint(n)
				return found
			}
		}},
		{"two devices of one ID", "devices", func(m *mutant) {
			m.devices = func(found hardware.Inventory) hardware.Inventory {
				found.Devices = append(found.Devices, found.Devices[0])
				return found
			}
		}},
		{"nameless device", "devices", scripted(func(d *fake.Device) { d.Name = "" })},
		{"device of no kind", "devices", scripted(func(d *fake.Device) { d.Kind = "" })},
		{"memory of 0", "devices", scripted(func(d *fake.Device) { d.Memory = new(int64) })},
		{"no device", "devices", func(m *mutant) { m.Engine = fake.New("fake", &fake.Clock{}, nil) }},
		{"name in capitals", "devices", func(m *mutant) { m.Engine = fake.New("Fake", &fake.Clock{}, nil, honest()) }},
		{"no reason why a device is missing", "devices", func(m *mutant) {
			m.devices = func(found hardware.Inventory) hardware.Inventory {
				found.Missing = []hardware.Missing{{API: "cuda"}}
				return found
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &mutant{Engine: fake.New("fake", &fake.Clock{}, nil, honest())}
			tt.mutate(m)
			s := &subject{engine: m, device: honest().Device, dtypes: []matrix.DType{matrix.Float32, matrix.Float16}, inUse: heap}
			err := s.named(t.Context(), tt.check)
			leak = nil
			if (err != nil) != (tt.check != "") {
				t.Errorf("check %q = %v", tt.check, err)
			} else if err != nil {
				t.Log(err)
			}
		})
	}
}

// named does one check by its name in the suite, all of them for "".
func (s *subject) named(ctx context.Context, name string) error {
	if name == "devices" || name == "" {
		if _, err := list(ctx, s.engine); err != nil || name != "" {
			return err
		}
	}
	for _, d := range matrix.DTypes {
		if name == string(d) || name == "" {
			if ok, err := s.supports(ctx, d); err != nil || !ok {
				return err
			}
			if err := s.products(ctx, d, false); err != nil || name != "" {
				return err
			}
		}
	}
	for _, c := range checks {
		if name == c.name || name == "" {
			if err := c.run(s, ctx); err != nil || name != "" {
				return err
			}
		}
	}
	if name != "" {
		return fmt.Errorf("no check %q", name)
	}
	return nil
}

// outcome records how a test ended, without ending this one.
type outcome struct {
	testing.TB
	text string
}

func (o *outcome) Helper()                     {}
func (o *outcome) Skip(args ...any)            { o.end("skip: " + fmt.Sprint(args...)) }
func (o *outcome) Fatalf(f string, arg ...any) { o.end("fatal: " + fmt.Sprintf(f, arg...)) }
func (o *outcome) end(text string)             { o.text = text; panic(o) }

func TestRequire(t *testing.T) {
	tests := []struct{ env, want string }{
		{"", "skip: no OpenBLAS here"},
		{"cuda,torch", "skip: no OpenBLAS here"},
		{"openblas2", "skip: no OpenBLAS here"},
		{"cuda,openblas", "fatal: openblas is required here: no OpenBLAS here"},
	}
	for _, tt := range tests {
		t.Setenv("GPUPLAY_REQUIRE", tt.env)
		o := &outcome{}
		func() {
			defer func() { _ = recover() }()
			Require(o, "openblas", "no OpenBLAS here")
		}()
		if !strings.HasPrefix(o.text, tt.want) || o.text == "" {
			t.Errorf("GPUPLAY_REQUIRE=%q: %q, want %q", tt.env, o.text, tt.want)
		}
	}
}

func TestParavirtual(t *testing.T) {
	for name, want := range map[string]bool{"Apple M1 (Virtual) GPU": true, "Apple M4 Max GPU": false, "NVIDIA H200 (Virtual)": false} {
		if got := paravirtual(hardware.Device{Name: name, Kind: hardware.GPU}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if paravirtual(hardware.Device{Name: "Apple M1 (Virtual)", Kind: hardware.CPU}) {
		t.Error("the CPU of a virtual Mac is a CPU")
	}
}
