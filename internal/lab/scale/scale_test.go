package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpuplay/gpuplay/internal/catalog"
	"github.com/gpuplay/gpuplay/internal/engine/enginetest"
	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/lab/labtest"
	"github.com/gpuplay/gpuplay/internal/python"
	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/scaling"
)

// shape is a transformer that trains in milliseconds.
var shape = scaling.Shape{Layers: 2, Width: 32, Heads: 2, Vocab: 64, Seq: 16, Positions: true}

func options(change ...func(*Options)) Options {
	o := Options{
		Strategies: scaling.Strategies, All: true, Shape: shape, Batch: 4, DType: "float32", Worlds: []int{2}, CPU: true,
		Budget: time.Millisecond, Timeout: time.Minute, Seed: 1,
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// deps are those of a machine with PyTorch in .venv-torch; without it the test is skipped.
func deps(t *testing.T) lab.Deps {
	t.Helper()
	if testing.Short() {
		t.Skip("starting PyTorch several times takes a while")
	}
	if runtime.GOOS == "windows" {
		t.Skip("torchrun needs a POSIX system")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	path := python.In(filepath.Join(root, ".venv-torch"))
	if !python.HasModule(t.Context(), path, "torch") {
		enginetest.Require(t, "torch", "PyTorch is not installed in .venv-torch")
	}
	return lab.Deps{
		Catalog: &catalog.Catalog{Env: catalog.Environment{Folder: root, Children: os.Environ()}},
		Program: record.Program{Version: "1"},
	}
}

// A real training on two ranks: all strategies compute what one rank does, all that the
// record and the model need is measured, and the record is read back as it was.
func TestRun(t *testing.T) {
	d := deps(t)
	var told atomic.Int32
	s := event.NewStream("run-1", nil)
	s.Subscribe(func(e event.Event) {
		if _, ok := e.Data.(record.Opened); ok {
			told.Add(1)
		}
	})
	r, err := Run(t.Context(), d, options(), s)
	s.Close()
	if err != nil {
		t.Fatal(err)
	}
	if r.Error != nil {
		t.Fatal(r.Error)
	}
	labtest.ReadsBack(t, r)
	if told.Load() < 10 {
		t.Errorf("the run so far was told %d times", told.Load())
	}
	c := r.Scaling
	if len(c.Worlds) != 2 || !c.Rehearsal || len(c.Worlds[1].Devices) != 2 || len(c.Worlds[1].Hosts) != 2 || c.Worlds[1].Backend != "gloo" || c.Worlds[1].Overlap == nil {
		t.Fatalf("%+v", c)
	}
	if one, two := c.Worlds[0].Threads, c.Worlds[1].Threads; one != two || one < 1 {
		t.Errorf("%d threads for one rank, %d for each of two", one, two)
	}
	for _, x := range c.Worlds[0].Shares {
		if most := slices.Max(x.Seconds); !(x.Busy > 0) || x.Failed != "" {
			t.Errorf("%s of %d: busy for %g s of %g: %s", x.Strategy, x.Parts, x.Busy, most, x.Failed)
		}
	}
	if n := len(c.Worlds[1].Collectives); n != 4*7 {
		t.Errorf("%d sizes of operations", n)
	}
	var seen []scaling.Strategy
	for _, x := range judge.ScaledOf(c) {
		if x.Step == nil {
			continue
		}
		if x.Checked != "right" || len(x.Step.Seconds) < 8 || len(x.Step.Losses) != 2 || x.Step.Losses[0] == x.Step.Losses[1] {
			t.Errorf("%s over %d: %s, %+v", x.Strategy, x.Ranks, x.Checked, x.Step)
		}
		if x.Ranks == 2 {
			seen = append(seen, x.Strategy)
			if x.Predicted == nil {
				t.Errorf("%s has no prediction", x.Strategy)
			}
		}
		held := x.Step.Held[0]
		whole := 4 * shape.Params()
		share := map[scaling.Strategy]float64{scaling.Single: 1, scaling.DP: 1, scaling.DDP: 1, scaling.FSDP: 0.5, scaling.TP: 0.5, scaling.PP: 0.5}[x.Strategy]
		if got := float64(held.Weights) / float64(whole); got < share-0.05 || got > share+0.1 || held.Optimizer < 2*held.Weights*9/10 {
			t.Errorf("%s holds %.2f of the weights: %+v", x.Strategy, got, held)
		}
	}
	if !slices.Equal(seen, scaling.Strategies) {
		t.Errorf("measured on two ranks: %v", seen)
	}
	if held := c.Worlds[0].Steps[0].Held[0]; held.Weights != 4*shape.Params() {
		t.Errorf("%d bytes of weights, the shape has %d parameters", held.Weights, shape.Params())
	}
}

// A rank that is killed is named within seconds, and nothing of it is left.
func TestKilledRank(t *testing.T) {
	d := deps(t)
	if runtime.GOOS != "linux" {
		t.Skip("ranks are found in /proc")
	}
	s := event.NewStream("run-1", nil)
	var killed atomic.Int64
	s.Subscribe(func(e event.Event) {
		if n, ok := e.Data.(event.Note); ok && n.Text == "2 of 2 ranks: dp" {
			for _, pid := range ranks(t, "RANK=1\x00") {
				killed.Store(time.Now().UnixNano())
				exec.Command("kill", "-9", pid).Run()
			}
		}
	})
	r, err := Run(t.Context(), d, options(func(o *Options) { o.Strategies = []scaling.Strategy{scaling.DP}; o.Budget = time.Minute }), s)
	took := time.Since(time.Unix(0, killed.Load()))
	s.Close()
	if err != nil {
		t.Fatal(err)
	}
	steps := r.Scaling.Worlds[len(r.Scaling.Worlds)-1].Steps
	if killed.Load() == 0 || len(steps) != 1 || steps[0].Error == nil || !strings.HasPrefix(steps[0].Error.Message, "rank 1 was ended by signal 9") {
		t.Fatalf("killed %d: %+v", killed.Load(), steps)
	}
	t.Logf("named %s after it was killed", took)
	if left := ranks(t, "RANK="); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A rank that hangs is named, although its peer is the one that fails.
func TestHungRank(t *testing.T) {
	d := deps(t)
	if runtime.GOOS != "linux" {
		t.Skip("ranks are found in /proc")
	}
	s := event.NewStream("run-1", nil)
	stopped := false
	s.Subscribe(func(e event.Event) {
		if n, ok := e.Data.(event.Note); ok && n.Text == "2 of 2 ranks: dp" {
			for _, pid := range ranks(t, "RANK=1\x00") {
				stopped = exec.Command("kill", "-STOP", pid).Run() == nil
			}
		}
	})
	r, err := Run(t.Context(), d, options(func(o *Options) {
		o.Strategies, o.Budget, o.Timeout = []scaling.Strategy{scaling.DP}, time.Minute, 20*time.Second
	}), s)
	s.Close()
	if err != nil {
		t.Fatal(err)
	}
	steps := r.Scaling.Worlds[len(r.Scaling.Worlds)-1].Steps
	if !stopped || len(steps) != 1 || steps[0].Error == nil || !strings.HasPrefix(steps[0].Error.Message, "rank 1 did not answer during dp") {
		t.Fatalf("stopped %t: %+v %v", stopped, steps, r.Error)
	}
	if left := ranks(t, "RANK="); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// ranks returns the processes that this test's torchrun has started and whose environment
// has a text.
func ranks(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		environment, _ := os.ReadFile(f) // others' cannot be read, and processes end
		if strings.Contains(string(environment), "GPUPLAY_SCALE=") && strings.Contains("\x00"+string(environment), "\x00"+text) && strings.Contains(string(environment), fmt.Sprintf(`"budget":%g,`, time.Minute.Seconds())) {
			list = append(list, filepath.Base(filepath.Dir(f)))
		}
	}
	return list
}

// Ctrl-C keeps what was measured until then, and ends all ranks.
func TestInterrupted(t *testing.T) {
	d := deps(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := event.NewStream("run-1", nil)
	s.Subscribe(func(e event.Event) {
		if n, ok := e.Data.(event.Note); ok && n.Text == "1 of 2 ranks: shares" {
			cancel()
		}
	})
	r, err := Run(ctx, d, options(func(o *Options) { o.Budget = time.Minute; o.Strategies = []scaling.Strategy{scaling.TP} }), s)
	s.Close()
	if err != nil || !r.Interrupted || r.Error != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	if left := ranks(t, "RANK="); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What makes no sense is refused before anything is started.
func TestRefused(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no strategy":         {func(o *Options) { o.Strategies = nil }, "no strategy"},
		"Llama":               {func(o *Options) { o.Shape.Gated = true }, "only models of the form of GPT-2"},
		"odd heads":           {func(o *Options) { o.Shape.Heads = 3 }, "width 32 is not divisible by 3 heads"},
		"a type":              {func(o *Options) { o.DType = "int8" }, `no training in "int8"`},
		"no time":             {func(o *Options) { o.Budget = 0 }, "0s to measure"},
		"no patience":         {func(o *Options) { o.Timeout = time.Millisecond }, "ranks that wait for 1ms"},
		"a port":              {func(o *Options) { o.Port = 70000 }, "port 70000"},
		"no ranks":            {func(o *Options) { o.Worlds = []int{0} }, "0 ranks"},
		"ranks over hosts":    {func(o *Options) { o.Worlds, o.Hosts = []int{3}, []string{"a", "b"} }, "3 ranks cannot be divided equally over 2 hosts"},
		"a batch of less":     {func(o *Options) { o.Batch = -1 }, "a batch of -1"},
		"a shape with no end": {func(o *Options) { o.Shape.Layers = 1 << 40 }, "layers 1099511627776"},
	} {
		_, err := Run(t.Context(), lab.Deps{}, options(x.change), event.NewStream("r", nil))
		if !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%s: %v, want %s", name, err, x.want)
		}
	}
}

// settled returns what follows from machines.
func settled(o Options, machines ...machine) (*session, error) {
	r := &record.Run{}
	x := &session{o: o, r: r, s: event.NewStream("r", nil), machines: machines}
	return x, x.settle()
}

func TestSettle(t *testing.T) {
	gpus := func(n int) machine { return machine{GPUs: slices.Repeat([]string{"H200"}, n), CPUs: 64} }
	for name, x := range map[string]struct {
		change   func(*Options)
		machines []machine
		worlds   []int
		device   string
		threads  int
		want     string // of an error
	}{
		"four GPUs":           {func(o *Options) { o.CPU, o.Worlds = false, nil }, []machine{gpus(4)}, []int{1, 2, 4}, "cuda", 16, ""},
		"no GPU":              {func(o *Options) { o.CPU, o.Worlds = false, nil }, []machine{{CPUs: 2}}, []int{1, 2}, "cpu", 1, ""},
		"one is added":        {func(o *Options) {}, []machine{{CPUs: 2}}, []int{1, 2}, "cpu", 1, ""},
		"two hosts":           {func(o *Options) { o.CPU, o.Worlds, o.Hosts = false, nil, []string{"a", "b"} }, []machine{gpus(2), gpus(2)}, []int{1, 2, 4}, "cuda", 32, ""},
		"too many for GPUs":   {func(o *Options) { o.CPU, o.Worlds = false, []int{1, 2, 4} }, []machine{gpus(2)}, nil, "", 0, "4 ranks need as many GPUs; there are 2"},
		"too many for CPUs":   {func(o *Options) { o.Worlds = []int{8} }, []machine{{CPUs: 2}}, nil, "", 0, "8 ranks need as many CPUs; there are 2"},
		"heads":               {func(o *Options) { o.All, o.Strategies, o.Worlds = false, []scaling.Strategy{scaling.TP}, []int{4} }, []machine{{CPUs: 4}}, nil, "", 0, "2 heads cannot be divided equally over 4 ranks"},
		"those that are left": {func(o *Options) { o.Worlds = []int{4} }, []machine{{CPUs: 4}}, []int{1, 4}, "cpu", 1, ""},
	} {
		s, err := settled(options(x.change), x.machines...)
		if x.want != "" {
			if !errors.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), x.want) {
				t.Errorf("%s: %v, want %s", name, err, x.want)
			}
			continue
		}
		if err != nil || !slices.Equal(s.o.Worlds, x.worlds) || s.device != x.device || s.threads != x.threads {
			t.Errorf("%s: %v %v %s %d", name, err, s.o.Worlds, s.device, s.threads)
		}
	}
	s, _ := settled(options(func(o *Options) { o.Worlds = []int{4} }), machine{CPUs: 4})
	if got := s.strategies(4); !slices.Equal(got, []scaling.Strategy{scaling.DP, scaling.DDP, scaling.FSDP}) {
		t.Errorf("of two heads and two layers, four ranks divide %v", got)
	}
}

// What ranks and torchrun are told.
func TestSettings(t *testing.T) {
	s, err := settled(options(func(o *Options) { o.Weak = true }), machine{CPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if two := s.settings(2); two.Batch != 8 || two.Chunks != 2 || two.Microbatches != 8 || !two.Collectives || len(two.Shares) > 0 {
		t.Errorf("%+v", two)
	}
	one := s.settings(1)
	if one.Batch != 4 || one.Chunks != 1 || one.Collectives {
		t.Errorf("%+v", one)
	}
	sequences := map[string]int{}
	for _, p := range one.Shares {
		sequences[fmt.Sprint(p.Strategy, p.Parts)] = p.Sequences
	}
	for name, want := range map[string]int{"dp2": 4, "dp4": 4, "fsdp4": 4, "tp2": 8, "pp2": 1} {
		if sequences[name] != want {
			t.Errorf("%s computes %d sequences, want %d", name, sequences[name], want)
		}
	}
	if sequences["tp4"]+sequences["pp4"] != 0 {
		t.Errorf("parts of what cannot be divided: %v", sequences)
	}
	if got := strings.Join(s.arguments(0, 2, 1), " "); got != "--nproc-per-node 2 --standalone" {
		t.Error(got)
	}
	s.o.Hosts, s.machines = []string{"me@a", "b"}, []machine{{Port: 4000}, {Port: 5000}}
	if got := strings.Join(s.arguments(1, 2, 2), " "); got != "--nproc-per-node 2 --nnodes 2 --node-rank 1 --master-addr a --master-port 4000" {
		t.Error(got)
	}
}

func TestCommands(t *testing.T) {
	lines, err := Commands(options(func(o *Options) { o.Hosts, o.Worlds = []string{"a", "b"}, []int{2, 4} }))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"# On a:\nGPUPLAY_SCALE='{", "--nproc-per-node 2 --nnodes 2 --node-rank 1 --master-addr a --master-port 29500 --max-restarts 0 scale.py", "def main():"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if _, err := Commands(options(func(o *Options) { o.Worlds = nil })); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
