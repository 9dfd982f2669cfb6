package python

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/matrix"
)

// counting is the frameworks that record what the workers ask of them, on clocks that
// are made up.
//
//go:embed testdata/counting.py
var counting string

// A told is what is recorded of one request.
type told struct {
	Answer struct {
		Result struct {
			Iters  int    `json:"iters"`
			Wall   int64  `json:"wall_ns"`
			Device *int64 `json:"device_ns"`
			Busy   bool   `json:"busy"`
		} `json:"result"`
		Error *fault.Error `json:"error"`
	} `json:"answer"`
	Log  []string `json:"log"`
	Held []int    `json:"held"`
}

// A rehearsal is a worker with a framework that only records.
type rehearsal struct {
	worker string      // the framework, or the runtime of language models
	device string      // what the framework has
	stray  string      // where the framework puts its products, if not where they are asked for
	slowly []int64     // for each request the nanoseconds that a product takes; none: 1000
	busy   [][]float64 // for each request what part of a CPU the process uses in each wait for its threads
}

type request struct {
	ID    int    `json:"id"`
	Op    string `json:"op"`
	Args  any    `json:"args"`
	Bytes int    `json:"bytes,omitempty"`
}

type arguments map[string]any

var helloRequest = request{Op: "hello", Args: arguments{"protocol": 2, "threads": 0, "cpu": "a CPU", "options": arguments{}}}

// prepareRequest asks for a product of which C is not the largest matrix.
func prepareRequest(device string, dtype matrix.DType, sum bool) request {
	g := bench.Square(32, dtype)
	g.Sum = sum
	return request{Op: "prepare", Args: arguments{"device": device, "gemm": g, "seed": 1}}
}

func runRequest(n, set int) request { return request{Op: "run", Args: arguments{"n": n, "set": set}} }

// rehearse returns what is recorded of each request.
func rehearse(t *testing.T, r rehearsal, requests ...request) []told {
	t.Helper()
	for i := range requests {
		requests[i].ID = i + 1
	}
	c := client(t, python3(t), r.worker)
	extend(c, "\n"+counting+fmt.Sprintf("\ncounted(*json.loads(%q))\n", toJSON(t, []any{r.worker, r.device, r.stray, r.busy, r.slowly, requests})))
	cmd := exec.CommandContext(limit(t), c.Path, c.Args[1:]...)
	cmd.Stdin = bytes.NewReader(c.Source)
	var said bytes.Buffer
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	var all []told
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// accepted fails the test unless every request was answered with a result.
func accepted(t *testing.T, all []told) {
	t.Helper()
	for i, a := range all {
		if a.Answer.Error != nil {
			t.Fatalf("request %d: %v", i+1, a.Answer.Error)
		}
	}
}

// counts are what each worker must do, in each framework's own words. In it A stands for
// the A of the set that is asked for.
var counts = []struct {
	worker, device string
	dtype          matrix.DType
	sum            bool
	ready          []string // what comes before the first reading of the clock, at its end
	first          []string // what comes before the products
	each           []string // what a product takes
	wait           []string // what comes after the products; last the wait for the last one
	owns           bool     // the worker keeps one C
	hasClock       bool     // the device has a clock
}{
	{worker: "torch", device: "cpu", owns: true, ready: []string{"fill C with nan"}, each: []string{"C = A·B on cpu"}},
	{worker: "torch", device: "cpu", dtype: matrix.Int8, owns: true, ready: []string{"fill C with -2139062144"}, each: []string{"C = A·B on cpu"}},
	{worker: "torch", device: "cpu", sum: true, each: []string{"A·B on cpu", "sum C", "the sum to the host"}},
	{worker: "torch", device: "cuda:GPU-1", owns: true, hasClock: true,
		ready: []string{"fill C with nan", "make an event for the start", "make an event for the end", "record the start on cuda:1", "record the end on cuda:1", "synchronize cuda:1"},
		first: []string{"record the start on cuda:1"}, each: []string{"C = A·B on cuda:1"}, wait: []string{"record the end on cuda:1", "synchronize cuda:1"}},
	{worker: "torch", device: "cuda:GPU-1", sum: true, ready: []string{"synchronize cuda:1"}, each: []string{"A·B on cuda:1", "sum C", "the sum to the host"}},
	{worker: "torch", device: "xpu:1", owns: true, ready: []string{"fill C with nan", "synchronize xpu:1"}, each: []string{"C = A·B on xpu:1"}, wait: []string{"synchronize xpu:1"}},
	{worker: "torch", device: "mps:0", owns: true, ready: []string{"fill C with nan", "synchronize mps"}, each: []string{"C = A·B on mps"}, wait: []string{"synchronize mps"}},

	{worker: "tensorflow", device: "cpu", each: []string{"A·B on CPU:0"}, ready: []string{"an element of A to the host", "an element of B to the host"}, wait: []string{"an element of C to the host"}},
	{worker: "tensorflow", device: "cuda:GPU-1", each: []string{"A·B on GPU:1"}, ready: []string{"an element of A to the host", "an element of B to the host"}, wait: []string{"an element of C to the host"}},
	{worker: "tensorflow", device: "cuda:GPU-1", sum: true, ready: []string{"an element of A to the host", "an element of B to the host"}, each: []string{"A·B on GPU:1", "sum C", "the sum to the host"}, wait: []string{"an element of C to the host"}},

	// MLX is lazy: each product is begun and the one before it awaited.
	{worker: "mlx", device: "cpu", each: []string{"A·B on cpu:0", "wait for C"}, ready: []string{"wait for A", "wait for B"}, wait: []string{"wait for C"}},
	{worker: "mlx", device: "cuda:GPU-1", each: []string{"A·B on gpu:1", "wait for C"}, ready: []string{"wait for A", "wait for B"}, wait: []string{"wait for C"}},
	{worker: "mlx", device: "cuda:GPU-1", sum: true, each: []string{"A·B on gpu:1", "sum C", "the sum to the host", "wait for C"}, ready: []string{"wait for A", "wait for B"}, wait: []string{"wait for C"}},

	{worker: "jax", device: "cpu", each: []string{"A·B on cpu:0"}, ready: []string{"wait for A", "wait for B"}, wait: []string{"wait for C"}},
	{worker: "jax", device: "cuda:GPU-1", each: []string{"A·B on cuda:1"}, ready: []string{"wait for A", "wait for B"}, wait: []string{"wait for C"}},
	{worker: "jax", device: "cuda:GPU-1", sum: true, each: []string{"A·B on cuda:1", "sum C", "the sum to the host"}, ready: []string{"wait for A", "wait for B"}, wait: []string{"wait for C"}},
}

// Between the two readings of the clock a worker computes the n products that were asked
// for, from the operands that were asked for, waits for the last one, and does nothing
// else. Before them it has seen to it that no old C can pass for the new one.
func TestCountsProducts(t *testing.T) {
	for _, tt := range counts {
		t.Run(fmt.Sprintf("%s %s %s sum %t", tt.worker, tt.device, tt.dtype, tt.sum), func(t *testing.T) {
			t.Parallel()
			dtype := tt.dtype
			if dtype == "" {
				dtype = matrix.Float32
			}
			asked := []struct{ n, set int }{{3, 0}, {2, 1}, {1, 1}, {5, 0}}
			requests := []request{helloRequest, prepareRequest(tt.device, dtype, tt.sum)}
			for _, a := range asked {
				requests = append(requests, runRequest(a.n, a.set))
			}
			all := rehearse(t, rehearsal{worker: tt.worker, device: strings.Replace(tt.device, "GPU-", "", 1)}, requests...)
			accepted(t, all)
			for i, a := range asked {
				got := all[2+i]
				before, timed, after := aroundClock(t, got.Log)
				of := func(lines []string) []string {
					lines = slices.Clone(lines)
					for i, l := range lines {
						if l = strings.Replace(l, "A·", []string{"A", "A'"}[a.set]+"·", 1); strings.HasSuffix(l, " A") || strings.Contains(l, "of A ") {
							l = strings.Replace(l, " A", " "+[]string{"A", "A'"}[a.set], 1)
						}
						lines[i] = l
					}
					return lines
				}
				want := slices.Clone(tt.first)
				for product := range a.n {
					lines := of(tt.each)
					if tt.worker == "mlx" && product == 0 {
						lines = lines[:len(lines)-1] // there is none before it
					}
					want = append(want, lines...)
				}
				if d := cmp.Diff(append(want, tt.wait...), timed); d != "" {
					t.Errorf("%d products of set %d: between the readings of the clock (-want +got):\n%s", a.n, a.set, d)
				}
				if d := cmp.Diff(append(of(tt.ready), "gc off"), before); d != "" {
					t.Errorf("%d products of set %d: before the clock (-want +got):\n%s", a.n, a.set, d)
				}
				if !slices.Contains(after, "gc on") {
					t.Error("collection stays off")
				}
				if !tt.owns && got.Held[0] != 0 {
					t.Errorf("%d old results are kept while the clock runs", got.Held[0])
				}
				s := got.Answer.Result
				if want := int64(1000 * a.n); s.Iters != a.n || s.Wall != want {
					t.Errorf("%d products in %d ns, want %d in %d", s.Iters, s.Wall, a.n, want)
				}
				if (s.Device != nil) != tt.hasClock || s.Device != nil && *s.Device != s.Wall {
					t.Errorf("%v ns by the device's clock", s.Device)
				}
				if s.Busy {
					t.Error("an idle process is called busy")
				}
			}
		})
	}
}

// A run on a CPU whose products take many times as long as planned is ended, and what it
// has done counts. A GPU's is not: other programs do not stop its threads.
func TestStalledProducts(t *testing.T) {
	const usual, time, second = 1000, 10_000_000, 1_000_000_000
	for _, tt := range []struct {
		device string
		slowly int64
		n      int
		iters  int
	}{
		{"cpu", usual, 640, 640},
		{"cpu", 9 * usual, 640, 640},
		{"cpu", time, 640, 80},
		{"cpu", second, 640, 10},
		{"cpu", second, 63, 63},
		{"cuda:GPU-1", second, 640, 640},
	} {
		for _, worker := range []string{"torch", "tensorflow", "mlx", "jax"} {
			if worker != "torch" && tt.iters != 10 {
				continue // the same, in the same file
			}
			t.Run(fmt.Sprintf("%s %s %d %d", worker, tt.device, tt.slowly, tt.n), func(t *testing.T) {
				t.Parallel()
				all := rehearse(t, rehearsal{worker: worker, device: strings.Replace(tt.device, "GPU-", "", 1), slowly: []int64{usual, usual, usual, tt.slowly, usual}},
					helloRequest, prepareRequest(tt.device, matrix.Float32, false), runRequest(1, 0), runRequest(tt.n, 1), runRequest(tt.n, 0))
				accepted(t, all)
				products := strings.Count(strings.Join(all[3].Log, "\n"), "·B on")
				if s := all[3].Answer.Result; s.Iters != tt.iters || products != tt.iters || s.Wall != int64(tt.iters)*tt.slowly {
					t.Errorf("%d products in %d ns, %d of them done; want %d", s.Iters, s.Wall, products, tt.iters)
				}
				if s := all[4].Answer.Result; s.Iters != tt.n || s.Wall != int64(tt.n)*usual {
					t.Errorf("the next run: %d products in %d ns", s.Iters, s.Wall)
				}
			})
		}
	}
}

// aroundClock returns what was done before, between and after the two readings of the
// clock.
func aroundClock(t *testing.T, log []string) (before, timed, after []string) {
	t.Helper()
	first := slices.Index(log, "clock")
	if first < 0 {
		t.Fatalf("the clock was not read: %q", log)
	}
	second := slices.Index(log[first+1:], "clock")
	if second < 0 {
		t.Fatalf("the clock was read once: %q", log)
	}
	before, timed, after = log[:first], log[first+1:first+1+second], log[first+second+2:]
	if slices.Contains(after, "clock") {
		t.Errorf("the clock was read more than twice: %q", log)
	}
	return before, timed, after
}

// A worker answers when its process uses no CPU time any more, after everything that
// computes. One that spins for longer than half a second is not waited for, and the next
// sample says so.
func TestRests(t *testing.T) {
	mulvec := request{Op: "mulvec", Args: arguments{}, Bytes: 8 * 32}
	closing := request{Op: "close", Args: arguments{}}
	products := []request{helloRequest, prepareRequest("cpu", matrix.Float32, false), runRequest(1, 0), mulvec, closing}
	load := request{Op: "load", Args: arguments{"device": "cpu", "model": "m", "adapter": "", "bits": 0, "dtype": "", "graph": false}}
	generate := request{Op: "generate", Args: arguments{"prompt": "p", "chat": false, "filler": 0, "tokens": 1, "ignore_end": false, "candidates": 0, "eager": false}}
	rests := func(all []told) (n []int) {
		for _, a := range all {
			n = append(n, len(slices.DeleteFunc(slices.Clone(a.Log), func(l string) bool { return l != "rest" })))
		}
		return n
	}
	thrice := []float64{1, 0.5, 0.21}
	for _, tt := range []struct {
		worker   string
		requests []request
		want     []int
	}{
		{"jax", products, []int{4, 4, 4, 4, 0}},
		{"transformers", []request{helloRequest, load, generate, closing}, []int{4, 4, 4, 0}},
	} {
		all := rehearse(t, rehearsal{worker: tt.worker, device: "cpu", busy: [][]float64{thrice, thrice, thrice, thrice, thrice}}, tt.requests...)
		accepted(t, all)
		if d := cmp.Diff(tt.want, rests(all)); d != "" {
			t.Errorf("%s does not wait as often as it must (-want +got):\n%s", tt.worker, d)
		}
		for i, a := range all {
			if n := len(a.Log); tt.want[i] > 0 && a.Log[n-1] != "rest" {
				t.Errorf("%s: the answer to %s does not come after the rest: %q", tt.worker, tt.requests[i].Op, a.Log)
			}
		}
	}

	always := slices.Repeat([]float64{1}, 1000)
	for _, tt := range []struct {
		name string
		busy [][]float64
		want []bool // of each of three samples
	}{
		{"never", nil, []bool{false, false, false}},
		{"after prepare", [][]float64{nil, always}, []bool{true, false, false}},
		{"after a sample", [][]float64{nil, nil, nil, always}, []bool{false, true, false}},
		{"after the check", [][]float64{nil, nil, nil, nil, always}, []bool{false, false, true}},
	} {
		all := rehearse(t, rehearsal{worker: "jax", device: "cpu", busy: tt.busy},
			helloRequest, prepareRequest("cpu", matrix.Float32, false), runRequest(1, 0), runRequest(1, 1), mulvec, runRequest(1, 0))
		accepted(t, all)
		got := []bool{all[2].Answer.Result.Busy, all[3].Answer.Result.Busy, all[5].Answer.Result.Busy}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("busy %s (-want +got):\n%s", tt.name, d)
		}
		for i, n := range rests(all) {
			if i < len(tt.busy) && len(tt.busy[i]) > 0 && (n < 99 || n > 101) {
				t.Errorf("busy %s: waited %d times 5 ms, want half a second", tt.name, n)
			}
		}
	}
}

// A product on a device that nobody asked for is an error, and not a result.
func TestStrayProducts(t *testing.T) {
	for _, tt := range []struct {
		worker, device string
		sum            bool
		astray         []string
	}{
		{"torch", "cuda:GPU-1", true, []string{"cpu", "cuda:0"}},
		{"torch", "xpu:1", true, []string{"cpu", "xpu:0"}},
		{"torch", "mps:0", true, []string{"cpu"}},
		{"tensorflow", "cuda:GPU-1", false, []string{"CPU:0", "GPU:0"}},
		{"jax", "cuda:GPU-1", false, []string{"cpu:0", "cuda:0"}},
	} {
		for _, stray := range append(tt.astray, "") {
			all := rehearse(t, rehearsal{worker: tt.worker, device: strings.Replace(tt.device, "GPU-", "", 1), stray: stray}, helloRequest,
				prepareRequest(tt.device, matrix.Float32, tt.sum), runRequest(1, 0), request{Op: "mulvec", Args: arguments{}, Bytes: 8 * 32})
			accepted(t, all[:3])
			err := all[3].Answer.Error
			if (stray != "") != (err != nil) || err != nil && (err.Code != fault.Internal || !strings.HasPrefix(err.Message, "the product is on ")) {
				t.Errorf("%s on %s: a product on %q: error %v", tt.worker, tt.device, stray, err)
			}
		}
	}
}

// TensorFlow that would compute elsewhere what a device cannot is not measured.
func TestSoftPlacementIsRefused(t *testing.T) {
	all := rehearse(t, rehearsal{worker: "tensorflow", device: "soft"}, helloRequest, prepareRequest("cuda:GPU-1", matrix.Float32, false))
	if err := all[1].Answer.Error; err == nil || err.Code != fault.Internal || !strings.HasPrefix(err.Message, "TensorFlow would compute on the CPU") {
		t.Errorf("error %v", err)
	}
}

// A device that is not there any more is an error: no other one computes in its place.
func TestVanishedDevice(t *testing.T) {
	for _, f := range Frameworks {
		for _, gone := range []string{"cuda:GPU-9", "cuda:", ""} {
			all := rehearse(t, rehearsal{worker: f.Name, device: "cuda"}, helloRequest, prepareRequest(gone, matrix.Float32, false), runRequest(1, 0))
			want := fmt.Sprintf("%s has no device '%s'", f.Name, gone)
			if err := all[1].Answer.Error; err == nil || err.Code != fault.Invalid || err.Message != want {
				t.Errorf("%s, device %q: error %v, want invalid: %s", f.Name, gone, err, want)
			}
			if err := all[2].Answer.Error; err == nil || slices.ContainsFunc(all[2].Log, func(l string) bool { return strings.Contains(l, "·") }) {
				t.Errorf("%s, device %q: a product: %q, %v", f.Name, gone, all[2].Log, err)
			}
		}
	}
}

// The operands of both sets lie in memory at once. A device that has less than they and
// C take is not asked. The machine that is made up has 1 GiB of main memory, and
// PyTorch's GPU 3 GiB; JAX does not say what its GPU has.
func TestBothSetsMustFit(t *testing.T) {
	for _, tt := range []struct {
		worker, device string
		m, n, k        int
		fits           bool
	}{
		{"torch", "cpu", 8192, 8192, 4096, true},            // 2·128 MiB + 128 MiB + 256 MiB
		{"torch", "cpu", 8192, 8192, 8192, true},            // 2·256 MiB + 256 MiB + 256 MiB: all of it
		{"torch", "cpu", 8192, 8192, 8193, false},           // and a column more
		{"torch", "cpu", 8192, 65536, 1, false},             // C alone is too large
		{"torch", "cuda:GPU-1", 16384, 16384, 8192, true},   // 2·512 MiB + 512 MiB + 1 GiB
		{"torch", "cuda:GPU-1", 16384, 12288, 16384, false}, // 2·1 GiB + 768 MiB + 768 MiB
		{"torch", "cuda:GPU-1", 16384, 32768, 1, false},     // C does not fit into the main memory
		{"jax", "cuda:GPU-1", 16384, 16384, 16384, true},    // JAX will notice
	} {
		g := bench.Square(1, matrix.Float32)
		g.M, g.N, g.K = tt.m, tt.n, tt.k
		all := rehearse(t, rehearsal{worker: tt.worker, device: "cuda"}, helloRequest, request{Op: "prepare", Args: arguments{"device": tt.device, "gemm": g, "seed": 1}})
		err := all[1].Answer.Error
		if (err == nil) != tt.fits || err != nil && err.Code != fault.OutOfMemory {
			t.Errorf("%dx%dx%d on %s: error %v, fits %t", tt.m, tt.n, tt.k, tt.device, err, tt.fits)
		}
	}
}
