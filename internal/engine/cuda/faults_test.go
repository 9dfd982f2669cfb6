package cuda

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/ffi/cuda"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/ptx"
)

func ignore(bench.Tuning) {}

// device returns the only device of an engine.
func device(t *testing.T, e bench.Engine) hardware.Device {
	t.Helper()
	inv, err := e.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Devices) != 1 {
		t.Fatalf("devices %+v", inv.Devices)
	}
	return inv.Devices[0]
}

func TestDevice(t *testing.T) {
	d := device(t, on(standIn(t, none), Options{}))
	const uuid = "GPU-00112233-4455-6677-8899-aabbccddeeff"
	if d.ID != "cuda:"+uuid || d.UUID != uuid || d.PCI != "0000:7f:00.0" || d.Kind != hardware.GPU || d.API != "cuda" || *d.Index != 0 || *d.Memory != 256<<20 ||
		d.Versions["cuda"] != "13.0" || d.Versions["compute capability"] != "9.0" || d.Label() != "gpuplay (built in, sm_90)" {
		t.Errorf("%+v, %s", d, d.Label())
	}
}

// Without a GPU that can be used, the reason is named, and no engine is there.
func TestUnavailable(t *testing.T) {
	missing := New(Options{})
	missing.machine.open = func() (*cuda.Library, error) { return nil, cuda.ErrMissing }
	broken := filepath.Join(t.TempDir(), "libcuda.so.1")
	if err := os.WriteFile(broken, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		engine *Engine // nil: the stand-in
		fault  standInFault
		says   string
	}{
		{missing, none, "not installed"},
		{on(broken, Options{}), none, "cannot be used: " + broken},
		{nil, noDevice, "finds no GPU"},
		{nil, hidden, "CUDA_VISIBLE_DEVICES hides every GPU"},
		{nil, old, "of CUDA 10.2: at least 11.0 is needed"},
	} {
		e := tt.engine
		if e == nil {
			e = on(standIn(t, tt.fault), Options{})
		}
		for range 2 {
			_, err := e.Devices(t.Context())
			if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.says) || len(fault.From(err).Remedies) == 0 && e != missing {
				t.Errorf("%v, want unavailable that says %q", err, tt.says)
			}
		}
		if _, err := e.Prepare(t.Context(), hardware.Device{ID: "cuda:0"}, bench.Square(2, matrix.Float32), 1, ignore); !errors.Is(err, fault.Unavailable) {
			t.Errorf("prepare: %v", err)
		}
	}
}

// What the driver refuses is named, and takes no memory.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		fault standInFault
		code  fault.Code
		says  string
	}{
		{refusesPTX, fault.Unsupported, "the driver, of CUDA 13.0, does not compile PTX 7.0"},
		{refusesText, fault.Internal, "a PTX JIT compilation failed (CUDA_ERROR_INVALID_PTX, 218): ptxas application ptx input, line 7; error : Unknown symbol 'x'"},
		{launchFails, fault.Internal, "unspecified launch failure"},
	} {
		e := on(standIn(t, tt.fault), Options{})
		_, err := e.Prepare(t.Context(), device(t, e), bench.Square(64, matrix.Float32), 1, ignore)
		if err == nil || fault.From(err).Code != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("fault %d: %v, want %v that says %q", tt.fault, err, tt.code, tt.says)
		}
		if n := count(t, "in_use")(); n != 0 {
			t.Errorf("fault %d: %d bytes are left", tt.fault, n)
		}
	}
}

// An older driver gets only the functions that it has; newer PTX than it compiles is not
// chosen.
func TestNewestPTX(t *testing.T) {
	for driver, want := range map[int]int{11000: 70, 11040: 74, 11080: 78, 12000: 80, 12050: 85, 12060: 85, 12070: 86, 12080: 87, 12090: 88, 13000: 90, 13010: 91} {
		if got := newestPTX(driver); got != want {
			t.Errorf("CUDA %s compiles PTX %d, want %d", cudaVersion(driver), got, want)
		}
	}
	e := on(standInOf(t, none, 11080, 256<<20), Options{})
	var got ptx.Card
	e.kernels = func(c ptx.Card, p ptx.Problem) ([]ptx.Kernel, error) {
		got = c
		return reference(1)(c, p)
	}
	task, err := e.Prepare(t.Context(), device(t, e), bench.Square(8, matrix.Float32), 1, ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	if want := (ptx.Card{CC: 90, SMs: 132, ISA: 78, Shared: 232448}); got != want {
		t.Errorf("card %+v, want %+v", got, want)
	}
}

// A C that was not computed, and one beside which something was written, do not pass.
func TestWrongResults(t *testing.T) {
	for _, tt := range []struct {
		fault standInFault
		says  string
	}{{skips, ""}, {overwritesAfter, "gpuplay wrote past the end of C"}, {overwritesBefore, "gpuplay wrote before the start of C"}} {
		e := on(standIn(t, tt.fault), Options{})
		d := device(t, e)
		for _, dtype := range matrix.DTypes {
			task, err := e.Prepare(t.Context(), d, bench.Square(9, dtype), 1, ignore)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := task.Run(t.Context(), 3, 1); err != nil {
				t.Fatal(err)
			}
			y, err := task.MulVec(t.Context(), []float64{1, 0, 0, 0, 0, 0, 0, 0, 0})
			switch {
			case tt.says != "" && (!errors.Is(err, fault.Wrong) || err.Error() != tt.says):
				t.Errorf("fault %d, %s: %v, want %q", tt.fault, dtype, err, tt.says)
			case tt.says == "" && err != nil:
				t.Errorf("fault %d, %s: %v", tt.fault, dtype, err)
			case tt.says == "" && !(math.IsNaN(y[0]) || dtype == matrix.Int8 && y[0] == -0x7f7f7f80):
				t.Errorf("fault %d, %s: an element that was not computed is %v", tt.fault, dtype, y[0])
			}
			if err := task.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A product that does not fit takes nothing, and one fits again once another is closed.
func TestOutOfMemory(t *testing.T) {
	e := on(standInOf(t, none, 13000, 60<<20), Options{})
	d := device(t, e)
	g := bench.Square(2048, matrix.Float32) // C takes 16 MiB
	g.K = 4
	first, err := e.Prepare(t.Context(), d, g, 1, ignore)
	if err != nil {
		t.Fatal(err)
	}
	held := count(t, "in_use")()
	if _, err := e.Prepare(t.Context(), d, g, 1, ignore); !errors.Is(err, fault.OutOfMemory) || !strings.Contains(err.Error(), "Stand-in for a GPU are free") || len(fault.From(err).Remedies) == 0 {
		t.Errorf("a second one: %v", err)
	}
	if now := count(t, "in_use")(); now != held {
		t.Errorf("a product that was refused holds %d bytes", now-held)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, "in_use")(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
	second, err := e.Prepare(t.Context(), d, g, 1, ignore)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

// Scratch memory that there is no room for leaves out what needs it, and fails only if
// everything does.
func TestNoRoomForScratch(t *testing.T) {
	e := on(standIn(t, none), Options{})
	d := device(t, e)
	e.kernels = func(c ptx.Card, p ptx.Problem) ([]ptx.Kernel, error) {
		list, err := reference(2)(c, p)
		list[0].Workspace = 1 << 30
		return list, err
	}
	var tried []string
	task, err := e.Prepare(t.Context(), d, bench.Square(8, matrix.Float32), 1, func(x bench.Tuning) { tried = append(tried, x.Variant) })
	if err != nil || len(tried) != 1 || tried[0] != "reference 1" {
		t.Fatalf("%v, tried %q", err, tried)
	}
	task.Close()
	e.kernels = func(c ptx.Card, p ptx.Problem) ([]ptx.Kernel, error) {
		list, err := reference(1)(c, p)
		list[0].Workspace = 1 << 30
		return list, err
	}
	if _, err := e.Prepare(t.Context(), d, bench.Square(8, matrix.Float32), 1, ignore); !errors.Is(err, fault.OutOfMemory) {
		t.Errorf("%v", err)
	}
}

// A module is compiled once in a process.
func TestModulesAreCompiledOnce(t *testing.T) {
	e := on(standIn(t, none), Options{})
	compiled := count(t, "compiled")
	before := compiled()
	for range 3 {
		task, err := e.Prepare(t.Context(), device(t, e), bench.Square(8, matrix.Float32), 1, ignore)
		if err != nil {
			t.Fatal(err)
		}
		task.Close()
	}
	if n := compiled() - before; n != 1 {
		t.Errorf("compiled %d times", n)
	}
}

// The fastest of several kernels is chosen, and is not searched for a second time where that
// can be kept. Of a small product the first kernel is taken.
func TestChoiceIsKept(t *testing.T) {
	large := bench.Square(32, matrix.Int8)
	tried := func(cache string, kernels int, g bench.GEMM) (names []string) {
		e := on(standIn(t, none), Options{Cache: cache})
		e.kernels = reference(kernels)
		e.searchFLOP, e.searchTime = large.FLOP()-1, time.Minute
		task, err := e.Prepare(t.Context(), device(t, e), g, 1, func(x bench.Tuning) { names = append(names, x.Variant) })
		if err != nil {
			t.Fatal(err)
		}
		task.Close()
		return names
	}
	cache := filepath.Join(t.TempDir(), "a", "b")
	for _, tt := range []struct {
		name, cache   string
		kernels, want int
		gemm          bench.GEMM
	}{
		{"small", cache, 3, 1, bench.Square(8, matrix.Float32)},
		{"large", cache, 3, 3, large},
		{"again", cache, 3, 1, large},
		{"among others", cache, 2, 2, large},
		{"nowhere to keep it", "", 3, 3, large},
		{"nowhere to write it", "/proc/nowhere", 3, 3, large},
	} {
		if got := tried(tt.cache, tt.kernels, tt.gemm); len(got) != tt.want {
			t.Errorf("%s: tried %q, want %d", tt.name, got, tt.want)
		}
	}
	files, _ := filepath.Glob(filepath.Join(cache, "*"))
	if len(files) != 2 {
		t.Fatalf("kept %q", files)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte("a kernel that there is not"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := tried(cache, 3, large); len(got) != 3 {
		t.Errorf("tried %q though what was kept makes no sense", got)
	}
}

// Every product is computed, in graphs, lots and one by one, and a graph's are right.
func TestEveryProductIsComputed(t *testing.T) {
	e := on(standIn(t, none), Options{})
	products := count(t, "products")
	g := bench.Square(5, matrix.Float64)
	prepared, err := e.Prepare(t.Context(), device(t, e), g, 1, ignore)
	if err != nil {
		t.Fatal(err)
	}
	task := prepared.(*task)
	defer task.Close()
	task.seconds = 1e-3 // lots of 10
	for _, graphs := range []bool{false, true} {
		if err := task.do(t.Context(), func() error {
			err := task.graph.destroy(task.gpu)
			if graphs {
				err = errors.Join(err, task.record())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 9, 31, 32, 33, 100} {
			before := products()
			s, err := task.Run(t.Context(), n, 0)
			if err != nil || s.Iters != n {
				t.Fatalf("%d products: %+v, %v", n, s, err)
			}
			if got := products() - before; got != uint64(n) {
				t.Errorf("graphs %t: %d products were computed, want %d", graphs, got, n)
			}
		}
	}
	y, err := task.MulVec(t.Context(), []float64{1, 0, 0, 0, 0})
	if err != nil || math.IsNaN(y[0]) {
		t.Errorf("C is %v, %v", y, err)
	}
}

// A run that is cancelled leaves nothing in the stream, also while it waits for a turn.
func TestCancelled(t *testing.T) {
	e := on(standIn(t, none), Options{})
	task, err := e.Prepare(t.Context(), device(t, e), bench.Square(8, matrix.Float32), 1, ignore)
	if err != nil {
		t.Fatal(err)
	}
	defer task.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := task.Run(ctx, 1, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := task.Run(t.Context(), 1, 0); err != nil {
		t.Error(err)
	}
}
